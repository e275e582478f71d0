// What is shown of one file. Text of the server is set as text, never as HTML.

const GUARD = "unlike the training images";
const DECISIONS = { normal: "Normal", pneumonia: "Pneumonia", unsure: "Unsure: leave it to a reader" };
const png = (base64) => `data:image/png;base64,${base64}`;
const percent = (value) => `${(100 * value).toFixed(1)} %`;
// Rounded, a probability would look certain.
const probability = (value) => (value < 0.0005 ? "< 0.1 %" : value >= 0.9995 ? "> 99.9 %" : percent(value));

export class Card {
  constructor(file, template, list) {
    this.file = file;
    this.element = template.content.firstElementChild.cloneNode(true);
    this.part(".name").textContent = file.name;
    list.append(this.element);
  }

  get listed() {
    return this.element.isConnected;
  }

  part(selector) {
    return this.element.querySelector(selector);
  }

  state(text) {
    this.part(".state").textContent = text;
  }

  fail(reason) {
    this.state(`No prediction: ${reason}`);
    this.part(".state").classList.add("failed");
  }

  summary(row) {
    const warnings = row.warnings.length ? `, warning: ${row.warnings.join("; ")}` : "";
    return `${row.decision}, probability of pneumonia ${probability(row.probability)}${warnings}`;
  }

  show(row) {
    this.part(".state").hidden = true;
    this.part(".answer").hidden = false;
    this.part(".decision").textContent = DECISIONS[row.decision];
    this.part(".decision").classList.add(row.decision);
    this.part(".number").textContent = probability(row.probability);
    this.part(".filled").style.width = `${100 * row.probability}%`;
    this.part(".threshold").style.left = `${100 * Math.min(1, row.threshold)}%`;
    this.part(".at").textContent = row.threshold > 1 ? "Nothing is called pneumonia by this model." : `Called pneumonia from ${percent(row.threshold)}.`;
    this.part(".by").textContent = `Model ${row.model}, weights ${row.weights.slice(0, 12)}`;
    this.part(".by").title = `SHA-256 of the weights: ${row.weights}`;
    this.warn(row.warnings);
    this.picture(row);
  }

  warn(warnings) {
    this.part(".warnings").hidden = this.part(".warning-title").hidden = !warnings.length;
    this.element.classList.toggle("flagged", warnings.includes(GUARD));
    for (const warning of warnings) {
      const item = document.createElement("li");
      item.textContent = warning;
      this.part(".warnings").append(item);
    }
  }

  picture(row) {
    const film = row.film ?? row.seen;
    if (!film) return;
    const [shown, heat, stack] = [this.part(".film"), this.part(".heat"), this.part(".stack")];
    const [fade, seen] = [this.part(".fade input"), this.part(".switch input")];
    this.part(".picture").hidden = false;
    fade.setAttribute("aria-label", `Heat map over ${this.file.name}`);
    seen.setAttribute("aria-label", `As the model saw it: ${this.file.name}`);
    const change = () => {
      shown.src = png(seen.checked ? row.seen : film);
      shown.alt = seen.checked ? `${this.file.name} as the model saw it` : `Film of ${this.file.name}`;
      stack.classList.toggle("square", seen.checked);
    };
    seen.addEventListener("change", change);
    change();
    this.part(".fade").hidden = heat.hidden = !row.heatmap;
    this.part(".no-heat").hidden = Boolean(row.heatmap);
    if (!row.heatmap) return;
    heat.src = png(row.heatmap);
    const faded = () => {
      heat.style.opacity = fade.value / 100;
      fade.setAttribute("aria-valuetext", `${fade.value} %`);
    };
    fade.addEventListener("input", faded);
    faded();
  }
}
