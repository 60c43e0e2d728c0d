// Draw frames in headless Chromium (software WebGL) and write them to stdout as PNG data URLs, one
// a line. The job is JSON on stdin: a list of {stage, frames}; see the page's script for both.
//   node page/render.mjs CHROMIUM [PAGE.html] < job.json
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ORIGIN = "http://scenes.invalid";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".glb": "model/gltf-binary" };
const FLAGS = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader", "--force-color-profile=srgb",
];

async function serve(route) {
  const path = normalize(decodeURIComponent(new URL(route.request().url()).pathname));
  try {
    const body = await readFile(join(ROOT, path));
    await route.fulfill({ body, contentType: TYPES[extname(path)] ?? "application/octet-stream" });
  } catch {
    await route.fulfill({ status: 404, body: path });
  }
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
const scenes = JSON.parse(text);

const browser = await chromium.launch({ executablePath: process.argv[2], args: FLAGS });
try {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`page: ${message.text()}`);
  });
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.route("**/*", serve);
  await page.goto(`${ORIGIN}/page/${process.argv[3] ?? "index.html"}`);
  await page.waitForFunction(() => window.setUp !== undefined);
  for (const { stage, frames } of scenes) {
    await page.evaluate((s) => window.setUp(s), stage);
    for (const frame of frames) {
      const url = await page.evaluate((f) => window.draw(f), frame);
      if (!process.stdout.write(`${url}\n`)) {
        await new Promise((resolve) => process.stdout.once("drain", resolve));
      }
    }
  }
} finally {
  await browser.close();
}
