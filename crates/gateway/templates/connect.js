// Tells the page that opened this one what came of it, where it is of an origin that its account named.
const outcome = document.getElementById("outcome");
const message = JSON.parse(outcome.dataset.message);
if (window.opener) {
  for (const origin of JSON.parse(outcome.dataset.origins)) {
    window.opener.postMessage(message, origin);
  }
  // A window that no page opened is closed by nobody but whoever looks at it.
  const close = document.getElementById("close");
  close.hidden = false;
  close.addEventListener("click", () => window.close());
}
