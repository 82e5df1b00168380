"""Signs ID tokens as Firebase does, with the key of the test kit, and has that to publish."""

import base64
import hashlib
import json
import pathlib
import time

PROJECT = "acme-1"
KEY_ID = "first"
KEY = "crates/testkit/src/identity_provider/provider.der"
# What a SHA-256 digest begins with where RSA signs it (RFC 8017, 9.2).
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def element(der):
    """What the first element of DER contains, and what follows it."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    return der[start : start + length], der[start + length :]


def numbers(path):
    """Modulus, public and private exponent of a key in PKCS #8."""
    _, rest = element(element(path.read_bytes())[0])
    key = element(element(element(rest)[1])[0])[0]
    found = []
    while key:
        number, key = element(key)
        found.append(int.from_bytes(number, "big"))
    return found[1:4]


MODULUS, PUBLIC, PRIVATE = numbers(pathlib.Path(__file__).resolve().parent.parent / KEY)
BYTES = (MODULUS.bit_length() + 7) // 8


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return text(json.dumps(value).encode())


def keys():
    """The set of keys, as it is published."""
    exponent = PUBLIC.to_bytes(3, "big")
    modulus = MODULUS.to_bytes(BYTES, "big")
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID}
    return {"keys": [{**key, "n": text(modulus), "e": text(exponent)}]}


def id_token(subject, address):
    """A token of somebody who has just signed in there, and whose address was verified."""
    now = int(time.time())
    claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "sub": subject,
        "iat": now,
        "auth_time": now,
        "exp": now + 3600,
        "email": address,
        "email_verified": True,
        "firebase": {"sign_in_provider": "google.com"},
    }
    signed = part({"alg": "RS256", "kid": KEY_ID, "typ": "JWT"}) + "." + part(claims)
    digest = SHA256 + hashlib.sha256(signed.encode()).digest()
    padded = b"\0\1" + b"\xff" * (BYTES - len(digest) - 3) + b"\0" + digest
    signature = pow(int.from_bytes(padded, "big"), PRIVATE, MODULUS).to_bytes(BYTES, "big")
    return signed + "." + text(signature)
