// Uses the published chat widget as a visitor of somebody's page does: opens the bubble, asks, looks.
// Argument, as JSON: {"apiHost", "chatflowid", "widget"?: folder in node_modules, "key"?: added by onRequest,
//   "questions": [...], "reload"?: look again after a reload, "patience"?: milliseconds for an answer,
//   "chromium": its path, "screenshot"?: a PNG file to write}
// A question is a text, or something else that a visitor does: {"press": the text of a prompt that is offered},
//   {"attach": [{"name", "mimeType", "base64"}], "say": a text}, {"thumb": "up" or "down", "words": a text},
//   {"lead": {"name", "email"}}, {"form": {field: value}}, {"decide": the button's text, "words"?: a text}.
// Output, as JSON: {"openings": [what stands there after each step], "requests": [...], "problems": [...]}, where an
//   opening is {"messages": [[who, text]], "chips": [...], "starters": [...], "locked": the visitor can type no more}.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const given = { widget: "flowise-embed", patience: 15_000, ...JSON.parse(process.argv[2]) };
// Nothing in the browser may look anything up but on loopback, nor start anything in the background.
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];
const QUIET = 250; // milliseconds without a change that count as the end of an answer

const options = JSON.stringify({ chatflowid: given.chatflowid, apiHost: given.apiHost });
const authorise = given.key
  ? `options.onRequest = async (request) => { request.headers = { ...request.headers, Authorization: ${JSON.stringify(`Bearer ${given.key}`)} }; };`
  : "";
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>A shop</title>
<h1>A shop</h1><script type="module">
import Chatbot from "/web.js";
const options = ${options};
${authorise}
Chatbot.init(options);
</script></html>`;

// The page's own server: another origin than the service's.
async function servePage() {
  const script = await readFile(fileURLToPath(new URL(`node_modules/${given.widget}/dist/web.js`, import.meta.url)));
  const server = createServer((request, response) => {
    const isScript = request.url === "/web.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : PAGE);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return server;
}

// What a visitor sees; runs in the page.
function look() {
  const root = document.querySelector("flowise-chatbot").shadowRoot;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const text = (element) => element.innerText.trim();
  const bubbles = all(".chatbot-host-bubble, .chatbot-guest-bubble").filter((bubble) => text(bubble));
  const input = root.querySelector("textarea, input[type=text]");
  return {
    messages: bubbles.map((bubble) => [bubble.classList.contains("chatbot-guest-bubble") ? "visitor" : "bot", text(bubble)]),
    chips: all(".source-chip, [data-testid=source-chip]").map(text),
    pictures: all(".chatbot-guest-bubble img, img[alt='Uploaded image']").length,
    inputs: all("input[type=file]").length,
    starters: all("[data-testid=starter-prompt-bubble], .starter-prompt, button.chatbot-host-bubble").map(text),
    locked: input === null || input.disabled,
  };
}

const server = await servePage();
const browser = await chromium.launch({ executablePath: given.chromium, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 900, height: 760 } });
const openings = [];
const requests = [];
const problems = [];
let predictions = 0;
page.on("pageerror", (error) => problems.push(error.message));
page.on("request", (request) => { if (request.url().includes("/prediction/")) predictions += 1; });
for (const event of ["requestfinished", "requestfailed"]) {
  page.on(event, async (request) => {
    const url = new URL(request.url());
    if (!request.url().startsWith(given.apiHost)) return;
    if (url.pathname.includes("/prediction/")) predictions -= 1;
    const response = event === "requestfinished" ? await request.response() : null;
    requests.push([request.method(), url.pathname, response ? response.status() : request.failure().errorText]);
  });
}

async function settle() {
  const end = Date.now() + given.patience;
  let last = "";
  let since = Date.now();
  while (Date.now() < end) {
    const seen = await page.evaluate(look);
    if (JSON.stringify(seen) !== last || predictions > 0 || seen.locked) since = Date.now();
    if (Date.now() - since > QUIET) return seen;
    last = JSON.stringify(seen);
    await page.waitForTimeout(50);
  }
  return page.evaluate(look);
}

async function open() {
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.locator("flowise-chatbot button[part=button]").first().click();
  await page.locator("flowise-chatbot textarea, flowise-chatbot input[type=text]").first().waitFor();
  openings.push(await settle());
}

const widget = page.locator("flowise-chatbot");

async function say(text) {
  await widget.locator("textarea:not(.feedback-input), input[type=text]:not([name])").first().fill(text);
  await page.keyboard.press("Enter");
}

const THUMBS = { up: "M7 10v12", down: "M17 14V2" };

// What a visitor does at a step.
async function act(step) {
  if (typeof step === "string") return say(step);
  if (step.attach) {
    const files = step.attach.map((file) => ({ ...file, buffer: Buffer.from(file.base64, "base64") }));
    await widget.locator("input[type=file]").first().setInputFiles(files);
    await page.waitForTimeout(QUIET); // the widget reads the files
    return say(step.say);
  }
  if (step.press) return widget.getByText(step.press, { exact: true }).last().click();
  if (step.lead) {
    for (const [name, value] of Object.entries(step.lead)) await widget.locator(`input[name=${name}]`).fill(value);
    return widget.locator("form button[type=submit]").first().click();
  }
  if (step.form) {
    for (const [name, value] of Object.entries(step.form)) {
      const choice = widget.locator(`form select[name=${name}]`);
      if (await choice.count()) await choice.selectOption(value);
      else await widget.locator(`form input[name=${name}]`).fill(value);
    }
    return widget.locator("form button[type=submit]").first().click();
  }
  if (step.decide) {
    await widget.getByRole("button", { name: step.decide, exact: true }).last().click();
    if (step.words === undefined) return;
    await widget.getByPlaceholder("Please provide your feedback...").fill(step.words);
    return widget.getByRole("button", { name: "Submit", exact: true }).last().click();
  }
  await widget.locator(`button:has(path[d="${THUMBS[step.thumb]}"])`).last().click();
  await widget.locator("textarea.feedback-input").fill(step.words);
  return widget.getByText("Submit Feedback").click();
}

try {
  await open();
  for (const step of given.questions) {
    if (openings.at(-1).locked && typeof step === "string") break;
    await act(step);
    openings.push(await settle());
  }
  if (given.reload) await open();
  if (given.screenshot) await page.screenshot({ path: given.screenshot });
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify({ openings, requests, problems }));
