// /openapi.json as a page. Nothing is loaded from anywhere else.

import { ask } from "./server.js";

const made = (name, text, ...children) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const typed = (schema) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typed).join(" or ");
  if (schema.type === "array") return `list of ${typed(schema.items)}`;
  return schema.format === "binary" ? "file" : (schema.type ?? "any");
};

const table = (heads, rows) =>
  made(
    "table",
    "",
    made("thead", "", made("tr", "", ...heads.map((head) => made("th", head)))),
    made("tbody", "", ...rows.map((row) => made("tr", "", ...row.map((cell) => made("td", cell))))),
  );

const fields = (schema) =>
  table(
    ["field", "type", "meaning"],
    Object.entries(schema.properties).map(([name, about]) => [name, typed(about), about.description ?? ""]),
  );

function operation(path, method, about) {
  const panel = made("section", "", made("h2", `${method.toUpperCase()} ${path}`), made("p", about.summary));
  panel.className = "panel";
  if (about.description) panel.append(made("p", about.description));
  const form = about.requestBody?.content["multipart/form-data"]?.schema;
  if (form) panel.append(made("h3", "Form"), fields(form));
  if (about.parameters) {
    const rows = about.parameters.map((each) => [`?${each.name}=`, typed(each.schema), `default ${each.schema.default}`]);
    panel.append(made("h3", "Query"), table(["name", "type", "meaning"], rows));
  }
  const rows = Object.entries(about.responses).map(([status, answer]) => {
    const [kind, content] = Object.entries(answer.content ?? {})[0] ?? ["", {}];
    const what = content.schema ? (content.schema.title === "Problem" ? "Problem" : typed(content.schema)) : "";
    return [status, answer.description, what && what !== "any" ? `${kind}: ${what}` : kind];
  });
  panel.append(made("h3", "Answers"), table(["status", "when", "content"], rows));
  return panel;
}

function schema(name, about) {
  const panel = made("section", "", made("h2", name), made("p", about.description), fields(about));
  panel.className = "panel";
  return panel;
}

document.getElementById("origin").textContent = location.origin;
const list = document.getElementById("list");
try {
  const api = await ask("/openapi.json");
  const problem = api.paths["/predict"].post.responses["503"].content["application/problem+json"].schema;
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => operation(path, method, about)),
  );
  const shown = ["Row", "Health"].map((name) => schema(name, api.components.schemas[name]));
  list.replaceChildren(...operations, ...shown, schema("Problem", problem));
} catch (error) {
  list.textContent = error.status === 401 ? "This server needs a token: enter it on the page, in this tab, and come back." : error.message;
}
