addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
if (window.pneumoRun) {
  const body = document.querySelector("#run tbody");
  for (const [name, value] of Object.entries(window.pneumoRun)) {
    const row = body.insertRow();
    row.insertCell().textContent = name;
    const cell = row.insertCell();
    cell.textContent = value;
    cell.className = "words";
  }
  document.querySelector("#run").hidden = false;
}
