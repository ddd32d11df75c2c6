// What the page's other scripts share: asking the shop, and writing down what it says.

export const at = (id) => document.getElementById(id);

export async function ask(path, options = {}) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(30000), ...options });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer;
}

export function send(path, content) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", body: JSON.stringify(content), headers });
}

export function write(element, text) {
  if (element.textContent !== text) element.textContent = text; // screen readers hear what has changed, and no more
}

export const note = (id, text) => write(at(id), text);

// Does what a button is for; it cannot be pressed meanwhile.
export async function press(noteId, button, action) {
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    note(noteId, `That did not work: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}
