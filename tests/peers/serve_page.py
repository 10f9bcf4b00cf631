"""Asks a question on the page of `pith serve` in a real browser.

serve_page.py URL [SCREENSHOT_FOLDER]   prints what the page shows, as JSON
"""
import json
import sys

from browser import Browser

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
        browser.open(url)
        browser.wait("return document.getElementById('models').textContent.includes('MB')")
        browser.run("for (const [id, value] of [['temperature', 0], ['max_tokens', 24], ['seed', 1]])"
                    " document.getElementById(id).value = value;")
        for question in ("Tell me about <b>Lily</b>.", "And then?"):
            browser.run("const q = document.getElementById('question'); q.value = " + json.dumps(question) + ";"
                        "document.getElementById('form').requestSubmit();")
            browser.wait("return document.getElementById('stop').hidden")
        shown = browser.run(SHOWN)
        shown["console"] = browser.console()
        if folder:
            browser.picture(f"{folder}/{name}.png")
        return shown
    finally:
        browser.close()


def main():
    url, folder = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    print(json.dumps({"desk": visit(url, "desk", 1200, 800, False, folder),
                      "phone": visit(url, "phone", 390, 800, True, folder)}))


main()
