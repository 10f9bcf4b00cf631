"""Asks a question on the page of `pith serve` in a real browser (chromedriver's WebDriver protocol, no packages).

serve_page.py URL [SCREENSHOT_FOLDER]   prints what the page shows, as JSON
"""
import base64
import json
import re
import subprocess
import sys
import time
import urllib.request


class Browser:
    def __init__(self, width, height, dark):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        port = None
        while port is None:
            line = self.driver.stdout.readline()
            if not line:
                raise SystemExit("chromedriver did not start")
            found = re.search(r"started successfully on port (\d+)", line)
            port = found and found.group(1)
        self.base = "http://127.0.0.1:" + port
        # Containers mostly forbid the browser's own sandbox; what it opens here is our page alone.
        options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            f"--window-size={width},{height}"] + (["--force-dark-mode"] if dark else [])}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + made["sessionId"]
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.cdp("Emulation.setEmulatedMedia", {"features": features})
        self.cdp("Emulation.setDeviceMetricsOverride",
                 {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]

    def cdp(self, command, parameters):
        return self.call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script):
        return self.call("POST", self.session + "/execute/sync", {"script": script, "args": []})

    def wait(self, script, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.2)
        raise SystemExit("the page never came to: " + script)

    def close(self):
        try:
            self.call("DELETE", self.session)
        finally:
            self.driver.terminate()


SHOWN = """
const text = e => e.textContent;
return {
  questions: [...document.querySelectorAll('.question')].map(text),
  names: [...document.querySelectorAll('.answer b')].map(text),
  speeds: [...document.querySelectorAll('.speed')].map(text),
  answers: [...document.querySelectorAll('.answer .text')].map(text),
  faults: [...document.querySelectorAll('.bad')].map(text),
  ground: getComputedStyle(document.body).backgroundColor,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  side_by_side: (([a, b]) => b ? a.getBoundingClientRect().top === b.getBoundingClientRect().top : null)(
    [...document.querySelectorAll('.answer')]),
};"""


def visit(url, name, width, height, dark, folder):
    browser = Browser(width, height, dark)
    try:
        browser.call("POST", browser.session + "/url", {"url": url})
        browser.wait("return document.getElementById('models').textContent.includes('MB')")
        browser.run("for (const [id, value] of [['temperature', 0], ['max_tokens', 24], ['seed', 1]])"
                    " document.getElementById(id).value = value;")
        for question in ("Tell me about <b>Lily</b>.", "And then?"):
            browser.run("const q = document.getElementById('question'); q.value = " + json.dumps(question) + ";"
                        "document.getElementById('form').requestSubmit();")
            browser.wait("return document.getElementById('stop').hidden")
        shown = browser.run(SHOWN)
        log = browser.call("POST", browser.session + "/se/log", {"type": "browser"})
        shown["console"] = [entry["message"] for entry in log]
        if folder:
            png = browser.call("GET", browser.session + "/screenshot")
            with open(f"{folder}/{name}.png", "wb") as file:
                file.write(base64.b64decode(png))
        return shown
    finally:
        browser.close()


def main():
    url, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    print(json.dumps({"desk": visit(url, "desk", 1200, 800, False, folder),
                      "phone": visit(url, "phone", 390, 800, True, folder)}))


main()
