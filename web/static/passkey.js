// Passkeys: asks the node what is to be signed, lets the browser sign it, and sends the form.
const able = Boolean(window.PublicKeyCredential && window.isSecureContext);

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function withBytes(options) {
  const named = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
  const out = { ...options, challenge: bytes(options.challenge) };
  if (options.user) out.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) out.excludeCredentials = named(options.excludeCredentials);
  if (options.allowCredentials) out.allowCredentials = named(options.allowCredentials);
  return out;
}

function asJson(credential) {
  const response = {};
  for (const key of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[key]) response[key] = text(credential.response[key]);
  }
  return JSON.stringify({
    id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
    clientExtensionResults: {},
  });
}

async function act(form) {
  const answer = await fetch(form.dataset.options, { method: "POST", body: new FormData(form) });
  if (!answer.ok) throw new Error(String(answer.status));
  const { publicKey, challenge } = await answer.json();
  const wish = { publicKey: withBytes(publicKey) };
  const made = form.dataset.passkey === "make"
    ? await navigator.credentials.create(wish)
    : await navigator.credentials.get(wish);
  form.elements.challenge.value = challenge;
  form.elements.answer.value = asJson(made);
  form.submit();
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.hidden = !able;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const problem = form.querySelector("[role=alert]");
    problem.hidden = true;
    act(form).catch(() => { problem.hidden = false; });
  });
}
for (const note of document.querySelectorAll("[data-no-passkey]")) note.hidden = able;
