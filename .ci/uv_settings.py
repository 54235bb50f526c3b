"""Say pip's settings of where packages come from (`pip config list` on standard input) as variables that uv reads."""

import ast
import os
import shlex
import sys

OF_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}

found: dict[str, str] = {}
for line in sorted(sys.stdin, key=lambda one: (one.startswith(":env:"), not one.startswith("global."))):
    key, _, value = line.strip().partition("=")
    if (name := OF_UV.get(key.rpartition(".")[2])) and key.split(".")[0] in ("global", "install", ":env:"):
        parts = str(ast.literal_eval(value)).split()
        found[name] = ",".join(parts) if name == "UV_FIND_LINKS" else " ".join(parts)
# As pip does: any index may have a package; hashes say which it is.
found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
for name, said in found.items():
    if name not in os.environ:
        sys.stdout.write(f"{name}={shlex.quote(said)}\n")
