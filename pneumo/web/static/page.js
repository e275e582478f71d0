// The page: files that people choose -> one request for each -> one card for each.

import { ask, forgetToken, hasToken, keepToken } from "./server.js";
import { Card } from "./card.js";

const AT_ONCE = 2;
const byId = (id) => document.getElementById(id);
const waiting = [];
let running = 0;
let limits = null;
let wantsToken = false;

async function start() {
  try {
    const health = await ask("/health");
    limits = health.limits;
    wantsToken = health.token;
    byId("model").textContent = `Model ${health.model}, weights ${health.weights.slice(0, 12)}, pneumo ${health.version}`;
    byId("model").title = `SHA-256 of the weights: ${health.weights}`;
    if (wantsToken && !hasToken()) showTokenForm("");
  } catch (error) {
    byId("model").textContent = error.message;
    byId("model").classList.add("error");
  }
}

function add(files) {
  if (!files.length) return;
  byId("results").hidden = false;
  for (const file of files) {
    const card = new Card(file, byId("card"), byId("list"));
    if (limits && file.size > limits.file) {
      fail(card, `This file is larger than ${limits.file / 1024 ** 2} MiB. Make it smaller, and choose it again.`);
    } else {
      waiting.push(card);
    }
  }
  next();
}

function next() {
  if (wantsToken && !hasToken()) return;
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    predict(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function predict(card) {
  if (!card.listed) return;
  card.state("Reading …");
  try {
    await card.file.slice(0, 1).arrayBuffer();
  } catch {
    fail(card, "This cannot be read. If it is a folder, choose the files in it; if it is a file, choose it again.");
    return;
  }
  const form = new FormData();
  form.append("images", card.file, card.file.name);
  try {
    const [row] = await ask("/predict?heatmap=true", { method: "POST", body: form });
    if (row.error) {
      fail(card, row.error);
    } else {
      card.show(row);
      say(card, card.summary(row));
    }
  } catch (error) {
    if (error.status === 401) {
      card.state("Waiting for the token …");
      waiting.unshift(card);
      forgetToken();
      showTokenForm(error.message);
    } else {
      fail(card, error.message);
    }
  }
}

function fail(card, reason) {
  card.fail(reason);
  say(card, `no prediction: ${reason}`);
}

function say(card, text) {
  byId("live").textContent = `${card.file.name}: ${text}`;
}

function showTokenForm(reason) {
  wantsToken = true;
  byId("token-error").textContent = reason;
  byId("token-form").hidden = false;
  byId("token").focus();
}

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  try {
    await ask("/openapi.json");
    byId("token").value = "";
    byId("token-form").hidden = true;
    byId("files").focus();
    next();
  } catch (error) {
    forgetToken();
    showTokenForm(error.message);
  }
});

byId("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
});

byId("clear").addEventListener("click", () => {
  waiting.length = 0;
  byId("list").replaceChildren();
  byId("results").hidden = true;
  byId("live").textContent = "The list is empty.";
  byId("files").focus();
});

// Anywhere on the page: a file that misses the field would otherwise take the place of the page.
const over = (event, is) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  byId("drop").classList.toggle("over", is);
};
for (const name of ["dragenter", "dragover"]) document.addEventListener(name, (event) => over(event, true));
document.addEventListener("dragleave", (event) => event.relatedTarget || over(event, false));
document.addEventListener("drop", (event) => {
  over(event, false);
  add([...(event.dataTransfer?.files ?? [])]);
});

start();
