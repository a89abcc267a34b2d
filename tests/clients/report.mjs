// Opens a page in a browser as a file, as somebody does who was sent it, at several widths, light and dark, and printed.
// Argument, as JSON: {"chromium": its path, "file": the page, "pictures"?: folder for PNG files, "url"?: instead of file,
//   "whole"?: pictures of all of the page, "headers"?: sent with it}
// Output, as JSON: {"requests": [urls but the page's own], "problems": [console messages and errors], "views":
//   [{"width", "scheme", "overflow": [what is wider than the window], "title", "scripts", "images", "small": [texts of
//   plots that are smaller than 8 pixels], "contrast": [pairs of colours that are hard to read], "closed": chunks that are
//   not shown}], "pdf": bytes of the printed page}
import { chromium } from "playwright-core";

const given = JSON.parse(process.argv[2]);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];
const VIEWS = [[1280, "light"], [1280, "dark"], [400, "light"], [400, "dark"], [320, "light"]];

// Runs in the page.
function look() {
  const width = document.documentElement.clientWidth;
  const overflow = [];
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (box.width && box.right > width + 1 && !element.closest(".wide") && !element.closest("svg")) {
      overflow.push(`${element.tagName} ${element.className} ${Math.round(box.right)}`);
    }
  }
  if (document.documentElement.scrollWidth > width) overflow.push(`page ${document.documentElement.scrollWidth}`);
  const small = [...document.querySelectorAll("svg text")]
    .filter((text) => text.textContent && text.getBoundingClientRect().height < 8)
    .map((text) => text.textContent);
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = getComputedStyle(each).backgroundColor;
      if (!/, 0\)$|transparent/.test(found)) return found;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = new Set();
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const pair = [getComputedStyle(element).color, behind(element)];
    const [one, other] = pair.map(light);
    if ((Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5) contrast.add(pair.join(" on "));
  }
  return {
    overflow: overflow.slice(0, 10),
    title: document.title,
    scripts: document.scripts.length,
    images: document.images.length,
    plots: document.querySelectorAll("svg[role=img]").length,
    small: small.slice(0, 10),
    contrast: [...contrast],
    styled: getComputedStyle(document.querySelector("h2")).borderBottomStyle,
  };
}

const browser = await chromium.launch({ executablePath: given.chromium, args: FLAGS });
const seen = { requests: [], problems: [], views: [], pdf: 0 };
for (const [width, scheme] of VIEWS) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
  page.on("console", (message) => seen.problems.push(message.text()));
  page.on("pageerror", (error) => seen.problems.push(error.message));
  page.on("dialog", (dialog) => { seen.problems.push(`dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (!request.isNavigationRequest() && request.url() !== "data:,") seen.requests.push(request.url());
  });
  if (given.headers) await page.setExtraHTTPHeaders(given.headers);
  await page.goto(given.url ?? `file://${given.file}`);
  await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  seen.views.push({ width, scheme, ...(await page.evaluate(look)) });
  if (given.pictures) await page.screenshot({ path: `${given.pictures}/${width}-${scheme}.png`, fullPage: given.whole === true });
  if (width === 1280 && scheme === "dark") {
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = false; }));
    const pdf = await page.pdf({ format: "A4", ...(given.pictures && { path: `${given.pictures}/page.pdf` }) });
    seen.pdf = pdf.length;
  }
  await page.close();
}
await browser.close();
console.log(JSON.stringify(seen));
