"""Keys and tokens of every algorithm, made by PyJWT.

tokens.py make FOLDER                      private keys (<name>.pem), public keys (keys.pem) and a key set (keys.json)
tokens.py use FOLDER URL USER SECRET       signs with them, reads and connects: a line of JSON for each token,
                                           {"name", "status", "connected"}
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import jwt
import socketio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

KEYS = {
    "rsa": (["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"], lambda: rsa.generate_private_key(65537, 2048)),
    "p256": (["ES256"], lambda: ec.generate_private_key(ec.SECP256R1())),
    "p384": (["ES384"], lambda: ec.generate_private_key(ec.SECP384R1())),
    "ed25519": (["EdDSA"], ed25519.Ed25519PrivateKey.generate),
}


def make(folder):
    text = serialization.Encoding.PEM
    public, key_set = b"", []
    for name, (algorithms, generate) in KEYS.items():
        key = generate()
        private = key.private_bytes(text, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / f"{name}.pem").write_bytes(private)
        public += key.public_key().public_bytes(text, serialization.PublicFormat.SubjectPublicKeyInfo)
        jwk = get_default_algorithms()[algorithms[0]].to_jwk(key.public_key(), as_dict=True)
        key_set.append({**jwk, "kid": name, "use": "sig"})
    (folder / "keys.pem").write_bytes(public)
    (folder / "keys.json").write_text(json.dumps({"keys": key_set}))


def status(url, token):
    request = urllib.request.Request(f"{url}/users/me", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def connected(url, token):
    client = socketio.Client(reconnection=False)
    try:
        client.connect(url, auth={"token": token}, wait_timeout=60)
    except socketio.exceptions.ConnectionError:
        return False
    client.disconnect()
    return True


def use(folder, url, user, secret):
    now = int(time.time())
    claims = {"userId": user, "iat": now, "exp": now + 600}
    private = {name: (folder / f"{name}.pem").read_text() for name in KEYS}
    public = (folder / "keys.pem").read_bytes()
    tokens = {algorithm: jwt.encode(claims, secret, algorithm) for algorithm in ["HS256", "HS384", "HS512"]}
    for name, (algorithms, _) in KEYS.items():
        for algorithm in algorithms:
            tokens[algorithm] = jwt.encode(claims, private[name], algorithm, headers={"kid": name})
    tokens["wrong: expired"] = jwt.encode({**claims, "exp": now - 1}, private["rsa"], "RS256", headers={"kid": "rsa"})
    tokens["wrong: another key"] = jwt.encode(claims, KEYS["p256"][1](), "ES256", headers={"kid": "p256"})
    tokens["wrong: none"] = jwt.encode(claims, None, "none")
    # The library itself refuses to take a public key for a secret.
    tokens["wrong: public key"] = jwt.encode(claims, b"".join(public.split()), "HS256", headers={"kid": "rsa"})
    for name, token in tokens.items():
        print(json.dumps({"name": name, "status": status(url, token), "connected": connected(url, token)}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        use(Path(sys.argv[2]), *sys.argv[3:])
