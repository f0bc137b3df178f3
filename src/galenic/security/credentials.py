"""Credentials of users: passwords (argon2id), time codes (TOTP), recovery codes and passkeys (WebAuthn)."""

import base64
import contextlib
import hmac
import json
import os
import secrets
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from galenic.errors import AccessDeniedError, MissingExtraError, OptionError, StateError, StoreError
from galenic.security.facts import Fact, FactReader, FactStore
from galenic.security.keytree import PEOPLE, KeyTree, subkey
from galenic.store import Database, use_once

if TYPE_CHECKING:
    import argon2

LEAST, MOST = 12, 256  # characters of a password (NIST SP 800-63B-4, 3.1.1.2: at least 8, and at least 64 allowed)
STRENGTH = 3  # of 4, as zxcvbn estimates it: more than 10^8 guesses (Wheeler 2016)
CODES, GROUPS = 10, 5  # number of recovery codes; groups of 24 bits in each: 120 bits, so that a plain digest protects them
CHALLENGE_SECONDS = 300
STEP = 30  # s that a time code is valid (RFC 6238)


def _hasher() -> "argon2.PasswordHasher":
    try:
        import argon2  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("sign-in needs the package argon2-cffi", "server") from None
    return argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # OWASP's least for argon2id: 19 MiB, t=2, p=1


def check_password(password: str, about: tuple[str, ...] = ()) -> None:
    """Raise OptionError for a password that is short, common or easy to guess. about: words that an attacker would try first."""
    if not LEAST <= len(password) <= MOST:
        raise OptionError(
            f"a password must have {LEAST} to {MOST} characters. A sentence that you make up is easy to remember."
        )
    import zxcvbn  # noqa: PLC0415  # half a second of lists, which only a new password needs

    found = zxcvbn.zxcvbn(password[:72], user_inputs=[w for w in about if w])
    if found["score"] < STRENGTH:
        why = found["feedback"]["warning"] or "It is easy to guess."
        raise OptionError(f"this password is easy to guess. {why} Use four or more unrelated words.")


@dataclass(frozen=True)
class Passkey:
    """A stored passkey. id: of the credential, base64url."""

    id: str
    name: str
    made_at: str


class Credentials:
    """Credentials of users. Secrets are stored hashed, or encrypted with a key of the installation."""

    def __init__(self, db: Database, facts: FactStore, tree: KeyTree) -> None:
        self.db, self.facts, self.tree = db, facts, tree
        self._key: bytes | None = None
        self._dummy = ""

    def sealing(self) -> AESGCM:
        """Cipher that encrypts sign-in secrets of this installation."""
        if self._key is None:
            self.tree.add([PEOPLE])
            self._key = subkey(self.tree.key(PEOPLE), "people")
        return AESGCM(self._key)

    def keep(self, who: str, kind: str, body: dict[str, Any], state: str = "active") -> None:
        """Stores a credential, replacing one of the same kind. kind: its label, and after "/" its number."""
        label = kind.partition("/")[0]
        fact = Fact("credential", f"{who}/{kind}", state, who, label=label, body=tuple(sorted(body.items())))
        self.facts.put(fact, actor=who)

    def _get(self, who: str, kind: str) -> Fact | None:
        found = self.facts.one("credential", f"{who}/{kind}")
        return found if found is not None and found.state == "active" else None

    def drop(self, who: str, kind: str = "") -> None:
        """Deletes a credential of an account, or all of them."""
        self.facts.change(lambda facts: dropped(facts, who, kind), actor=who)

    # passwords

    def set_password(self, who: str, password: str, about: tuple[str, ...] = (), *, instead_of: Fact | None = None) -> None:
        """Sets a new password, checked and stored as argon2id. instead_of: the credential that was checked. Raise StateError if
        it was replaced or deleted in the meantime."""
        fact = new_password(who, password, about)
        if instead_of is None:
            self.facts.put(fact, actor=who)
        else:
            self._replace(instead_of, dict(fact.body))

    def password_fact(self, who: str) -> Fact | None:
        """Credential that `password_is` checks against."""
        return self._get(who, "password")

    def _replace(self, before: Fact, body: dict[str, Any]) -> None:
        """Replaces a credential that was read before. Raise StateError if it was replaced or deleted in the meantime."""
        self.facts.swap(before, replace(before, state="active", body=tuple(sorted(body.items()))), actor=before.who)

    def password_is(self, who: str, password: str) -> bool:
        """True if the password is correct. Takes the same time for an account that does not exist."""
        import argon2  # noqa: PLC0415

        hasher, fact = _hasher(), self._get(who, "password")
        if not self._dummy:
            self._dummy = hasher.hash(secrets.token_hex(16))
        kept = str(fact.get("hash")) if fact else self._dummy
        try:
            hasher.verify(kept, password[: 2 * MOST])
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        if fact is not None and hasher.check_needs_rehash(kept):
            with contextlib.suppress(StateError):  # replaced or deleted in the meantime
                self._replace(fact, {"hash": hasher.hash(password)})
        return fact is not None

    # time codes

    def begin_totp(self, who: str) -> str:
        """URI (otpauth://) of a new secret for an authenticator app. It becomes active when a code of it is entered."""
        import pyotp  # noqa: PLC0415

        secret, nonce = pyotp.random_base32(), os.urandom(12)
        sealed = nonce + self.sealing().encrypt(nonce, secret.encode(), f"totp {who}".encode())
        body = (("sealed", base64.b64encode(sealed).decode()),)

        def plan(facts: FactReader) -> list[Fact]:
            before = facts.one("credential", f"{who}/totp")
            if before is not None and before.state == "active":
                raise StateError("this account has an authenticator app. Sign in with its code.")
            return [Fact("credential", f"{who}/totp", "begun", who, label="totp", body=body)]

        self.facts.change(plan, actor=who)
        return str(pyotp.TOTP(secret).provisioning_uri(name=who, issuer_name="Galenic"))

    def confirm_totp(self, who: str, code: str) -> None:
        """Activates the new secret. Raise AccessDeniedError if the code is wrong."""
        fact = self.facts.one("credential", f"{who}/totp")
        if fact is None or fact.state != "begun" or not self._code_is(who, fact, code):
            raise AccessDeniedError(
                "this code is not from the new authenticator app. Check the clock of the device, and try the next code."
            )
        self._replace(fact, dict(fact.body))

    def totp_is(self, who: str, code: str) -> bool:
        """True if a code is currently valid and was not used before."""
        fact = self._get(who, "totp")
        return fact is not None and self._code_is(who, fact, code)

    def _code_is(self, who: str, fact: Fact, code: str) -> bool:
        import pyotp  # noqa: PLC0415

        sealed = base64.b64decode(str(fact.get("sealed")))
        try:
            secret = self.sealing().decrypt(sealed[:12], sealed[12:], f"totp {who}".encode()).decode()
        except InvalidTag:
            raise StoreError(
                "a stored secret cannot be decrypted: it was changed outside Galenic. Contact the security officer."
            ) from None
        now, totp = int(time.time()), pyotp.TOTP(secret)
        for step in (0, -1, 1):
            at = now + step * STEP
            if hmac.compare_digest(str(totp.at(at)).encode(), code.strip().encode()):
                return use_once(self.db, f"totp/{who}/{at // STEP}", 4 * STEP)
        return False

    # recovery codes

    def new_recovery_codes(self, who: str) -> list[str]:
        """Ten new codes, shown once. Earlier codes become invalid."""
        codes = ["-".join(secrets.token_hex(3) for _ in range(GROUPS)) for _ in range(CODES)]
        self.keep(who, "recovery", {"digests": [_digest(c) for c in codes]})
        return codes

    def recovery_is(self, who: str, code: str) -> bool:
        """True if it is one of the codes; it can then not be used again."""
        digest = _digest(code.strip().lower())

        def plan(facts: FactReader) -> list[Fact]:
            fact = facts.one("credential", f"{who}/recovery")
            left = list(fact.get("digests")) if fact is not None and fact.state == "active" else []
            if fact is None or digest not in left:
                raise AccessDeniedError("this is not a recovery code of this account, or it was already used.")
            left.remove(digest)
            return [replace(fact, body=(("digests", left),))]

        try:
            self.facts.change(plan, actor=who)
        except AccessDeniedError:
            return False
        return True

    def kinds(self, who: str) -> frozenset[str]:
        """Kinds of credential that an account has."""
        return frozenset(f.label for f in self.facts.of("credential", who=who) if f.state == "active")

    # passkeys

    def passkeys(self, who: str) -> list[Passkey]:
        """The passkeys of an account."""
        found = [f for f in self.facts.of("credential", who=who, label="passkey") if f.state == "active"]
        return [Passkey(str(f.get("id")), str(f.get("name")), str(f.get("made_at"))) for f in found]

    def _challenge(self, purpose: str) -> bytes:
        """Challenge that is not stored: random bytes, its expiry, and a MAC over both and the purpose."""
        begun = os.urandom(16) + (int(time.time()) + CHALLENGE_SECONDS).to_bytes(8, "big")
        return begun + self._challenge_mac(purpose, begun)

    def _challenge_mac(self, purpose: str, begun: bytes) -> bytes:
        self.tree.add([PEOPLE])
        return hmac.digest(subkey(self.tree.key(PEOPLE), "challenges"), begun + purpose.encode(), "sha256")

    def _take(self, purpose: str, credential: dict[str, Any]) -> bytes:
        """Challenge that a browser answered, if it is valid and not expired. `_use_up` follows when the response is verified."""
        try:
            said = json.loads(_unpack(credential["response"]["clientDataJSON"]))
            challenge = _unpack(said["challenge"])
        except (KeyError, TypeError, ValueError, RecursionError):
            raise AccessDeniedError("the browser's response is not valid. Start again.") from None
        begun, mac = challenge[:24], challenge[24:]
        is_open = len(begun) == 24 and int.from_bytes(begun[16:], "big") > time.time()
        if not is_open or not hmac.compare_digest(mac, self._challenge_mac(purpose, begun)):
            raise AccessDeniedError("the challenge has expired or was already used. Start again.")
        return challenge

    def _use_up(self, challenge: bytes) -> None:
        """Raise AccessDeniedError if the challenge was used before. Only verified responses are recorded, so that unknown
        clients write no rows."""
        if not use_once(self.db, f"challenge/{sha256(challenge).hexdigest()}", CHALLENGE_SECONDS):
            raise AccessDeniedError("the challenge has expired or was already used. Start again.")

    def begin_passkey(self, who: str, shown: str, rp: str) -> str:
        """Options for a browser to create a passkey (WebAuthn level 2, 5.4), as JSON. rp: relying party host."""
        import webauthn  # noqa: PLC0415
        from webauthn.helpers import structs  # noqa: PLC0415

        known = [structs.PublicKeyCredentialDescriptor(id=_unpack(p.id)) for p in self.passkeys(who)]
        options = webauthn.generate_registration_options(
            rp_id=rp, rp_name="Galenic", user_id=sha256(f"galenic {who}".encode()).digest(), user_name=who, user_display_name=shown,
            challenge=self._challenge(f"make/{who}"), exclude_credentials=known, timeout=CHALLENGE_SECONDS * 1000,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED, user_verification=structs.UserVerificationRequirement.REQUIRED
            ),
        )  # fmt: skip
        return str(webauthn.options_to_json(options))

    def finish_passkey(self, who: str, name: str, credential: dict[str, Any], rp: str, origin: str) -> None:
        """Stores the passkey that a browser created. Raise AccessDeniedError if it is for another host or account."""
        import webauthn  # noqa: PLC0415

        challenge = self._take(f"make/{who}", credential)
        try:
            made = webauthn.verify_registration_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=rp, expected_origin=origin,
                require_user_verification=True,
            )  # fmt: skip
        except (webauthn.helpers.exceptions.WebAuthnException, ValueError) as error:
            raise AccessDeniedError(f"the passkey cannot be registered ({type(error).__name__}). Start again.") from None
        self._use_up(challenge)
        own = _pack(made.credential_id)
        body = {
            "id": own, "key": _pack(made.credential_public_key), "count": made.sign_count, "name": name[:64],
            "made_at": time.strftime("%Y-%m-%d", time.gmtime()),
        }  # fmt: skip

        def plan(facts: FactReader) -> list[Fact]:
            if any(f.state == "active" and f.get("id") == own for f in facts.of("credential", label="passkey")):
                raise AccessDeniedError("this passkey is already registered. A passkey belongs to one account.")
            key = f"{who}/passkey/{own[:40]}"
            return [Fact("credential", key, "active", who, label="passkey", body=tuple(sorted(body.items())))]

        self.facts.change(plan, actor=who)

    def ask_passkey(self, purpose: str, rp: str, who: str = "") -> str:
        """Options for a browser to authenticate with a passkey (WebAuthn level 2, 5.5), as JSON; of any account, or of this one."""
        import webauthn  # noqa: PLC0415
        from webauthn.helpers import structs  # noqa: PLC0415

        known = [structs.PublicKeyCredentialDescriptor(id=_unpack(p.id)) for p in self.passkeys(who)] if who else []
        options = webauthn.generate_authentication_options(
            rp_id=rp, challenge=self._challenge(purpose), allow_credentials=known, timeout=CHALLENGE_SECONDS * 1000,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        )  # fmt: skip
        return str(webauthn.options_to_json(options))

    def passkey_of(self, purpose: str, credential: dict[str, Any], rp: str, origin: str) -> str:
        """Account of the passkey that responded. Raise AccessDeniedError if it is unknown, for another host, or was copied (its
        counter did not increase)."""
        import webauthn  # noqa: PLC0415

        challenge = self._take(purpose, credential)
        own = str(credential.get("id", ""))
        kept = next(
            (f for f in self.facts.of("credential", label="passkey") if f.state == "active" and f.get("id") == own), None
        )
        if kept is None:
            raise AccessDeniedError("this passkey is not registered here. Sign in another way, then add it.")
        try:
            done = webauthn.verify_authentication_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=rp, expected_origin=origin,
                credential_public_key=_unpack(str(kept.get("key"))), credential_current_sign_count=int(kept.get("count")),
                require_user_verification=True,
            )  # fmt: skip
        except (webauthn.helpers.exceptions.WebAuthnException, ValueError) as error:
            raise AccessDeniedError(
                f"the response of the passkey is not valid ({type(error).__name__}). Start again."
            ) from None
        self._use_up(challenge)
        if done.new_sign_count != kept.get("count"):
            self._replace(kept, {**dict(kept.body), "count": done.new_sign_count})
        return kept.who


def new_password(who: str, password: str, about: tuple[str, ...] = ()) -> Fact:
    """Credential of a password, checked and hashed. This takes long, so it is made before the change that stores it."""
    check_password(password, (who, "galenic", *about))
    body = (("hash", _hasher().hash(password)),)
    return Fact("credential", f"{who}/password", "active", who, label="password", body=body)


def dropped(facts: FactReader, who: str, kind: str = "") -> list[Fact]:
    """Credentials of an account, or one of them, marked as deleted."""
    return [
        Fact("credential", f.key, "dropped", who, label=f.label)
        for f in facts.of("credential", who=who)
        if f.state in ("active", "begun") and (not kind or f.key == f"{who}/{kind}")
    ]


def _digest(code: str) -> str:
    return sha256(f"galenic recovery {code}".encode()).hexdigest()


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
