#!/usr/bin/env python3
"""Looks at the page in headless Chromium: logs in by the form, and for each view takes a screenshot of the whole page.

    look.py --url http://127.0.0.1:9464 --token-file FILE --out FOLDER --name idle [--path /search?q=…]
            [--views wide,wide-dark,phone,phone-dark,no-js] [--expect TEXT]…

Fails if the browser has complained (a refused style or script, a missing file, an exception), if the page is wider than
the window, if a text that was expected is not there, or if page.js does not refresh the numbers. Speaks WebDriver to
chromedriver with Python's own library.
"""
import argparse
import base64
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

VIEWS = {
    "wide": dict(width=1280, height=900, mobile=False, scale=1, dark=False),
    "wide-dark": dict(width=1280, height=900, mobile=False, scale=1, dark=True),
    "phone": dict(width=390, height=844, mobile=True, scale=2, dark=False),
    "phone-dark": dict(width=390, height=844, mobile=True, scale=2, dark=True),
    "no-js": dict(width=1280, height=900, mobile=False, scale=1, dark=False),
}


class Browser:
    def __init__(self):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = "http://127.0.0.1:" + line.rstrip(".\n").split()[-1]
                break
        else:
            raise SystemExit("chromedriver has not started")
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--hide-scrollbars", "--force-color-profile=srgb"]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def do(self, method, path, body=None):
        return self.call(method, self.session + path, body)

    def cdp(self, command, **parameters):
        return self.do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script):
        return self.do("POST", "/execute/sync", {"script": script, "args": []})

    def go(self, url):
        self.do("POST", "/url", {"url": url})

    def element(self, selector):
        return next(iter(self.do("POST", "/element", {"using": "css selector", "value": selector}).values()))

    def complaints(self):
        return [entry["message"] for entry in self.do("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def end(self):
        try:
            self.do("DELETE", "")
        except OSError:
            pass  # It is ended below.
        self.driver.terminate()
        self.driver.wait(timeout=20)


def screenshot(browser, path):
    size = browser.cdp("Page.getLayoutMetrics")["cssContentSize"]
    picture = browser.cdp("Page.captureScreenshot", captureBeyondViewport=True, clip=dict(
        x=0, y=0, width=size["width"], height=size["height"], scale=1))
    path.write_bytes(base64.b64decode(picture["data"]))


def look(options):
    faults = []
    token = pathlib.Path(options.token_file).read_text().strip()
    folder = pathlib.Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    browser = Browser()
    try:
        browser.go(options.url + "/")
        if not browser.run("return location.pathname").endswith("/login"):
            faults.append("the page is shown without a login")
        if options.name == "idle":
            screenshot(browser, folder / "login.png")
        browser.do("POST", f"/element/{browser.element('input[name=token]')}/value", {"text": token})
        browser.do("POST", f"/element/{browser.element('form button')}/click", {})
        for _ in range(100):
            if browser.run("return location.pathname") == "/":
                break
            time.sleep(0.1)
        if token in browser.run("return document.cookie + location.href"):
            faults.append("the token can be read by a script, or is in the URL")
        for name in options.views.split(","):
            view = VIEWS[name]
            browser.cdp("Emulation.setScriptExecutionDisabled", value=name == "no-js")
            browser.cdp("Emulation.setDeviceMetricsOverride", width=view["width"], height=view["height"],
                        deviceScaleFactor=view["scale"], mobile=view["mobile"])
            browser.cdp("Emulation.setEmulatedMedia", features=[
                {"name": "prefers-color-scheme", "value": "dark" if view["dark"] else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"}])
            browser.go(options.url + options.path)
            source = browser.do("GET", "/source")
            for text in options.expect:
                if text not in source:
                    faults.append(f"{name}: the page lacks {text!r}")
            screenshot(browser, folder / f"{options.name}-{name}.png")
            browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
            width = browser.run("return document.documentElement.scrollWidth")
            if width > view["width"]:
                faults.append(f"{name}: the page is {width} wide in a window of {view['width']}")
        if options.path == "/":
            browser.go(options.url + "/")  # With scripts, whatever the last view had.
            browser.run("document.querySelector('#numbers').dataset.old = 'yes'")
            for _ in range(120):
                if not browser.run("return document.querySelector('#numbers').dataset.old || ''"):
                    break
                time.sleep(0.1)
            else:
                faults.append("page.js has not refreshed the numbers")
        faults += browser.complaints()
    finally:
        browser.end()
    for fault in faults:
        print(f"{options.name}: {fault}", file=sys.stderr)
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--views", default="wide")
    parser.add_argument("--expect", action="append", default=[])
    sys.exit(look(parser.parse_args()))


main()
