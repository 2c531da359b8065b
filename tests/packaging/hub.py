"""A stand-in for a hub on this machine: what huggingface_hub asks for to create, upload, list and download."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """repositories: The files of each, by their paths. seen: The headers and paths of all requests."""

    def __init__(self):
        self.repositories, self.seen, self.token = {}, [], None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def commit_of(self, name):
        content = repr(sorted((path, hashlib.sha1(data).hexdigest()) for path, data in self.repositories[name].items()))
        return hashlib.sha1(content.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *arguments):
        pass

    def answer(self, value, status=200, **headers):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, code):
        self.answer({"error": code}, status, X_Error_Code=code, X_Error_Message=code)

    def handle_any(self):
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.seen.append((self.command, path, self.headers.get("Authorization")))
        parts = path.strip("/").split("/")
        if self.command == "POST" and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self.refuse(401, "Unauthorized")
        elif parts == ["api", "validate-yaml"]:
            self.answer({"warnings": [], "errors": []})
        elif parts[:3] == ["api", "repos", "create"]:
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}" if given.get("organization") else given["name"]
            status = 409 if name in self.hub.repositories else 200
            self.hub.repositories.setdefault(name, {".gitattributes": b"*.bin filter=lfs\n"})
            self.answer({"url": f"{self.hub.address}/{name}"}, status)
        elif parts[0] == "api" and "/".join(parts[2:4]) in self.hub.repositories:
            self.on_repository("/".join(parts[2:4]), parts[4:], body)
        elif len(parts) > 4 and parts[2] == "resolve" and "/".join(parts[:2]) in self.hub.repositories:
            self.download("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self.refuse(404, "RepoNotFound")

    do_GET = do_POST = do_HEAD = handle_any

    def on_repository(self, name, rest, body):
        files, commit = self.hub.repositories[name], self.hub.commit_of(name)
        if rest[:1] == ["revision"] and rest[1] not in ("main", commit):
            self.refuse(404, "RevisionNotFound")
        elif rest[:1] == ["tree"]:
            self.answer(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for path, data in files.items()
                ]
            )
        elif rest[:1] == ["preupload"]:
            paths = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})
        elif rest[:1] == ["commit"]:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            commit = self.hub.commit_of(name)
            self.answer(
                {"commitUrl": f"{self.hub.address}/{name}/commit/{commit}", "commitOid": commit, "pullRequestUrl": None}
            )
        else:
            siblings = [{"rfilename": path, "size": len(data)} for path, data in files.items()]
            self.answer({"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": [], "downloads": 0})

    def download(self, name, path):
        files = self.hub.repositories[name]
        if path not in files:
            self.refuse(404, "EntryNotFound")
            return
        data = files[path]
        self.answer(data, X_Repo_Commit=self.hub.commit_of(name), ETag=f'"{hashlib.sha1(data).hexdigest()}"')


@contextmanager
def serving(patch, cache, token):
    """Let huggingface_hub in this process ask a new hub, with permission. patch: pytest's. cache: An empty folder."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    hub = Hub()
    hub.token = token
    settings = {
        "ENDPOINT": hub.address,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
    }
    environment = {"HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "SPACY_PTV2_ALLOW_DOWNLOAD": "1"}
    forget = getattr(_http, "reset_sessions", None) or _http.close_session
    for name, value in settings.items():
        patch.setattr(constants, name, value)
    forget()
    patch.setattr("huggingface_hub.hf_api.ENDPOINT", hub.address, raising=False)
    patch.setattr("huggingface_hub.hf_api.api.endpoint", hub.address, raising=False)
    for name, value in environment.items():
        patch.setenv(name, value)
    yield hub
    hub.close()
    forget()
