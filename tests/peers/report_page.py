"""Opens a report's page in a real browser, on a desk in light and on a phone in dark.

report_page.py FILE [SCREENSHOT_FOLDER]   prints what the page shows, as JSON; pictures are of the whole page
"""
import json
import os
import sys

from browser import Browser

SHOWN = """
document.querySelectorAll('details').forEach(d => d.open = true);
const seen = e => e.getClientRects().length > 0;
const drawings = [...document.querySelectorAll('figure svg')].filter(seen);
const outside = (svg) => {
  const frame = svg.closest('figure').getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(t => {
    const r = t.getBoundingClientRect();
    return r.left < frame.left - 0.5 || r.right > frame.right + 0.5 || r.top < frame.top || r.bottom > frame.bottom;
  }).map(t => t.textContent);
};
return {
  title: document.title,
  sections: [...document.querySelectorAll('h2')].map(e => e.textContent),
  figures: [...document.querySelectorAll('figure h3')].map(e => e.textContent),
  drawings: drawings.length,
  outside: drawings.flatMap(outside),
  ground: getComputedStyle(document.body).backgroundColor,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  loaded: performance.getEntriesByType('resource').map(e => e.name),
  height: document.documentElement.scrollHeight,
};"""


def visit(url, name, width, height, dark, folder):
    browser = Browser(width, height, dark)
    try:
        browser.open(url)
        shown = browser.run(SHOWN)
        shown["console"] = browser.console()
        if folder:
            browser.cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": min(shown["height"], 16000),
                                                               "deviceScaleFactor": 1, "mobile": width < 600})
            browser.picture(f"{folder}/{name}.png")
        return shown
    finally:
        browser.close()


def main():
    url, folder = "file://" + os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    print(json.dumps({"desk": visit(url, "desk", 1200, 900, False, folder),
                      "phone": visit(url, "phone", 390, 800, True, folder)}))


main()
