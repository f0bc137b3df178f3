// Passkeys: what the browser needs as bytes comes as base64url, and goes back so (WebAuthn level 2).
"use strict";
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(place, body, csrf) {
  const answer = await fetch(place, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF": csrf }, body: JSON.stringify(body), credentials: "same-origin",
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || "It did not work. Try again.");
  return found;
}

async function make(button) {
  const options = await ask("/account/passkey/begin", {}, button.dataset.csrf);
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const one of options.excludeCredentials || []) one.id = bytes(one.id);
  const made = await navigator.credentials.create({ publicKey: options });
  const name = document.getElementById("passkey-name");
  return ask("/account/passkey", {
    name: name && name.value ? name.value : "passkey",
    credential: { id: made.id, rawId: text(made.rawId), type: made.type, response: {
      clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject) } },
  }, button.dataset.csrf);
}

async function show(button) {
  const options = await ask(button.dataset.begin, {}, button.dataset.csrf || "");
  options.challenge = bytes(options.challenge);
  for (const one of options.allowCredentials || []) one.id = bytes(one.id);
  const got = await navigator.credentials.get({ publicKey: options });
  const field = button.dataset.password && document.getElementById(button.dataset.password);
  return ask(button.dataset.finish, { ...(field ? { password: field.value } : {}), next: button.dataset.next || "/", credential: {
    id: got.id, rawId: text(got.rawId), type: got.type, response: {
      clientDataJSON: text(got.response.clientDataJSON), authenticatorData: text(got.response.authenticatorData),
      signature: text(got.response.signature), userHandle: got.response.userHandle ? text(got.response.userHandle) : null } },
  }, button.dataset.csrf || "");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-passkey]");
  if (!button) return;
  event.preventDefault();
  const said = document.getElementById("passkey-said");
  try {
    const done = await (button.dataset.passkey === "make" ? make(button) : show(button));
    window.location.assign(done.next);
  } catch (error) {
    if (said) said.textContent = error.name === "NotAllowedError" ? "The device did not confirm it was you. Try again." : error.message;
  }
});
for (const one of document.querySelectorAll("[data-needs-script]")) one.hidden = !window.PublicKeyCredential;
