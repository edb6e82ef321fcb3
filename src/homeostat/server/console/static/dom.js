// Builds elements from values. Text becomes text nodes, never markup: there is no innerHTML in the
// console, so a label value can look like anything and stays what it is.

const SVG = "http://www.w3.org/2000/svg";
const FORBIDDEN = /^(on|style$|srcdoc$)/i;

/** Make an HTML element: el("a", {href, class}, "text", child, ...). */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (FORBIDDEN.test(name)) throw new Error(`attribute ${name} is not for data`);
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Put text into an element, only when it differs (so that nothing is announced twice). */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Replace an element's children, unless the new ones look the same as before. */
export function swap(node, ...children) {
  const next = el("div", {}, ...children);
  if (sameChildren(node, next)) return false;
  const focus = document.activeElement;
  const key = node.contains(focus) ? focus.getAttribute("data-key") : null;
  node.replaceChildren(...next.childNodes);
  if (key) node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  return true;
}

function sameChildren(a, b) {
  if (a.childNodes.length !== b.childNodes.length) return false;
  for (let i = 0; i < a.childNodes.length; i += 1) if (!a.childNodes[i].isEqualNode(b.childNodes[i])) return false;
  return true;
}
