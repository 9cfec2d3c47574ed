"use strict";
// Tables are sorted by a click on a head: each gets a button, so the keyboard can do it, and screen readers hear the order.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 3) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, heads, original, column));
  });
}

// From one click to the next: rising, falling, as it was.
function sort(table, heads, original, column) {
  const order = { null: "ascending", ascending: "descending", descending: null }[heads[column].getAttribute("aria-sort")];
  for (const head of heads) head.removeAttribute("aria-sort");
  const rows = [...original];
  if (order) {
    heads[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const isNumber = heads[column].classList.contains("number");
    rows.sort((one, other) => compare(one.cells[column], other.cells[column], isNumber, sign));
  }
  table.tBodies[0].append(...rows);
}

// What has no number stays below, whichever way.
function compare(one, other, isNumber, sign) {
  if (!isNumber) return sign * one.textContent.localeCompare(other.textContent, "en", { numeric: true });
  const [mine, theirs] = [one, other].map((cell) => parseFloat(cell.dataset.value));
  if (isNaN(mine) || isNaN(theirs)) return isNaN(mine) - isNaN(theirs);
  return sign * (mine - theirs);
}

// A link to a scenario opens it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.closest("details");
  if (details) details.open = true;
}
addEventListener("hashchange", reveal);
reveal();
