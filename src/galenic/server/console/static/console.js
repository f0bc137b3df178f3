// Times in local time, messages in focus, and passkeys: bytes travel as base64url (WebAuthn level 2).
"use strict";
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

// One format for all times: 2026-11-29 20:53, in the time zone of the browser. The time zone is in the tooltip.
function localTimes(root) {
  const two = (number) => String(number).padStart(2, "0");
  for (const one of root.querySelectorAll("time[datetime]")) {
    const at = new Date(one.dateTime);
    if (one.dateTime.length <= 10 || Number.isNaN(at.getTime())) continue;
    one.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
    one.title = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" }).format(at);
  }
}

async function request(place, body, csrf) {
  const answer = await fetch(place, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF": csrf }, body: JSON.stringify(body), credentials: "same-origin",
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || "The request failed. Try again.");
  return found;
}

async function createPasskey(button) {
  const options = await request("/account/passkey/begin", {}, button.dataset.csrf);
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const one of options.excludeCredentials || []) one.id = bytes(one.id);
  const created = await navigator.credentials.create({ publicKey: options });
  const name = document.getElementById("passkey-name");
  return request("/account/passkey", {
    name: name && name.value ? name.value : "passkey",
    credential: { id: created.id, rawId: text(created.rawId), type: created.type, response: {
      clientDataJSON: text(created.response.clientDataJSON), attestationObject: text(created.response.attestationObject) } },
  }, button.dataset.csrf);
}

async function usePasskey(button) {
  const options = await request(button.dataset.begin, {}, button.dataset.csrf || "");
  options.challenge = bytes(options.challenge);
  for (const one of options.allowCredentials || []) one.id = bytes(one.id);
  const got = await navigator.credentials.get({ publicKey: options });
  const field = button.dataset.password && document.getElementById(button.dataset.password);
  return request(button.dataset.finish, { ...(field ? { password: field.value } : {}), next: button.dataset.next || "/", credential: {
    id: got.id, rawId: text(got.rawId), type: got.type, response: {
      clientDataJSON: text(got.response.clientDataJSON), authenticatorData: text(got.response.authenticatorData),
      signature: text(got.response.signature), userHandle: got.response.userHandle ? text(got.response.userHandle) : null } },
  }, button.dataset.csrf || "");
}

// Browsers refuse passkeys at addresses that are numbers (127.0.0.1), at another host than the server's own, and without TLS.
function passkeyError(error) {
  const here = window.location;
  if (error.name === "NotAllowedError") return "The device did not confirm your identity, or you canceled. Try again.";
  if (error.name === "InvalidStateError") return "This device has a passkey for this account already.";
  if (error.name === "SecurityError") return `Passkeys do not work at this address (${here.host}). Open the address that the server printed, for example https://localhost:${here.port || 443}, and try again.`;
  return error.message || "The passkey did not work. Try again.";
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-passkey]");
  if (!button) return;
  event.preventDefault();
  const status = document.getElementById("passkey-said");
  if (status) status.textContent = "Waiting for your device …";
  try {
    const done = await (button.dataset.passkey === "make" ? createPasskey(button) : usePasskey(button));
    window.location.assign(done.next);
  } catch (error) {
    if (status) status.textContent = passkeyError(error);
  }
});

// Passkeys need a secure context. Where the browser has none, the page says so instead of hiding the choice.
for (const one of document.querySelectorAll("[data-needs-script]")) {
  one.hidden = false;
  if (window.PublicKeyCredential) continue;
  for (const control of one.querySelectorAll("button, input")) control.disabled = true;
  const status = one.querySelector("#passkey-said");
  if (status) status.textContent = window.isSecureContext ? "This browser does not support passkeys. Use a password and an authenticator app." : "Passkeys need HTTPS. Open this server at its https:// address.";
}

localTimes(document);
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.detail.target.parentNode || document));
const message = document.querySelector("#message");
const invalid = document.querySelector("[aria-invalid=true]");
if (invalid || message) (invalid || message).focus();
