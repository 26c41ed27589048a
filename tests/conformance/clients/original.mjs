#!/usr/bin/env node
// The original's algorithm, written anew from the description of its rules and its errors (node 20, standard library only).
//
// What it does right: the cache, then the gateways in order with doubling pauses, then the Hub; SHA-256 of what a gateway
// sent. What it does wrong, and this program with it, so that the suite can be seen to catch it:
//   - a file that is there counts when its size is right;
//   - a download goes straight to its final name, is never resumed, and is deleted only when it is found wrong;
//   - the Hub's files are not proven: 80 % of the size is enough;
//   - the gateways are gone through by a second loop inside the first, so that metrics name the outer loop's gateway;
//   - a redirect whose Location is relative throws where nobody catches it: the process ends with an error of its own;
//   - no floor for the rate, no deadline, no cap on a body, no Retry-After; a status is a status, whatever it says.
// Its one CID for two models, its two names for one model and its callers' polling are not of one process's making: no job
// can show them. Features (`needs`): events and metrics.
import { createHash } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [verb, flag, jobPath] = process.argv.slice(2);
if (verb !== "fetch" || flag !== "--job") process.exit(2);
const job = JSON.parse(fs.readFileSync(jobPath, "utf8"));
if (!job.needs.every((need) => ["events", "metrics"].includes(need))) process.exit(2);

const records = [];
const host = (url) => new URL(url).host;
const tell = (event) => job.events && fs.appendFileSync(job.events, JSON.stringify(event) + "\n");
const record = (file, layer, gateway, status, began, bytes = 0, error = null) =>
  records.push({
    timestamp: new Date().toISOString(), modelType: file.type, layer, gateway, status,
    latency_ms: Date.now() - began, bytes_downloaded: bytes, bytes_total: file.size,
    error_type: error && error.name, error_message: error && error.message,
  });

function get(url, hops = 10) {
  return new Promise((resolve, reject) => {
    const client = url.startsWith("https:") ? https : http;
    const request = client.get(url, { timeout: job.timeout_s * 1000 }, (answer) => {
      if ([301, 302, 303, 307, 308].includes(answer.statusCode)) {
        answer.resume();
        if (hops === 0) return reject(new Error("too many redirects"));
        const next = new URL(answer.headers.location).href; // throws if it is relative, inside a callback
        return resolve(get(next, hops - 1));
      }
      if (answer.statusCode !== 200) {
        answer.resume();
        return reject(new Error(`HTTP ${answer.statusCode}`));
      }
      resolve(answer);
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", reject);
  });
}

async function download(url, target, file, told) {
  const answer = await get(url);
  const began = Date.now();
  let downloaded = 0, toldAt = 0;
  await new Promise((resolve, reject) => {
    const out = fs.createWriteStream(target);
    answer.on("data", (data) => {
      downloaded += data.length;
      if (Date.now() - toldAt < 100) return;
      toldAt = Date.now();
      const speed = downloaded / Math.max((toldAt - began) / 1000, 0.001);
      tell({ ...told, status: "downloading", downloaded, total: file.size,
        percent: (downloaded / file.size) * 100, speed, eta: (file.size - downloaded) / speed });
    });
    answer.on("error", reject);
    answer.on("aborted", () => reject(new Error("aborted")));
    out.on("error", reject);
    out.on("finish", resolve);
    answer.pipe(out);
  });
  return downloaded;
}

const sha256 = (target) => createHash("sha256").update(fs.readFileSync(target)).digest("hex");

/** All gateways in turn; this loop is inside another one over the same gateways. */
async function fromGateways(file, target) {
  let last;
  for (const gateway of job.gateways) {
    const url = `${gateway}/ipfs/${file.ipfs.cid}/${encodeURI(file.ipfs.path)}`;
    for (let attempt = 1; attempt <= job.attempts; attempt++) {
      try {
        tell({ layer: "ipfs", gateway: host(gateway), attempt, status: "attempting" });
        const bytes = await download(url, target, file, { layer: "ipfs", gateway: host(gateway) });
        if (sha256(target) !== file.sha256) throw new Error("SHA-256 mismatch");
        return bytes;
      } catch (error) {
        last = error;
        fs.rmSync(target, { force: true });
        await sleep(job.backoff_s * 1000 * 2 ** attempt);
      }
    }
  }
  throw last;
}

async function fromIpfs(file, target) {
  for (const gateway of file.ipfs ? job.gateways : []) {
    const began = Date.now();
    try {
      const bytes = await fromGateways(file, target);
      record(file, "ipfs", host(gateway), "success", began, bytes);
      tell({ layer: "ipfs", status: "success" });
      return true;
    } catch (error) {
      record(file, "ipfs", host(gateway), "error", began, 0, error);
    }
  }
  return false;
}

async function fromHub(file, target) {
  const url = file.hub && file.urls.find((each) => each.startsWith(`${job.hub.endpoint}/`));
  if (!url) return false;
  const began = Date.now();
  for (let attempt = 1; attempt <= job.attempts; attempt++) {
    try {
      tell({ layer: "huggingface", attempt, status: "attempting" });
      const bytes = await download(url, target, file, { layer: "huggingface" });
      if (fs.statSync(target).size < 0.8 * file.size) throw new Error("file too small");
      record(file, "huggingface", host(url), "success", began, bytes);
      tell({ layer: "huggingface", status: "success" });
      return true;
    } catch (error) {
      fs.rmSync(target, { force: true });
      record(file, "huggingface", host(url), "error", began, 0, error);
      await sleep(job.backoff_s * 1000 * 2 ** attempt);
    }
  }
  return false;
}

async function have(file) {
  const target = path.join(job.folder, file.path);
  if (fs.existsSync(target) && fs.statSync(target).size === file.size) {
    record(file, "cache", null, "hit", Date.now());
    tell({ layer: "cache", status: "hit" });
    return true;
  }
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const layers = job.preferred_layer === "huggingface" ? [fromHub, fromIpfs] : [fromIpfs, fromHub];
  for (const layer of layers) if (await layer(file, target)) return true;
  record(file, null, null, "all_layers_exhausted", Date.now());
  tell({ status: "error", error: `${file.path}: all layers exhausted` });
  return false;
}

let done = true;
for (const file of job.files) done = (await have(file)) && done;
const count = (layer, status) => records.filter((each) => each.layer === layer && each.status === status).length;
const layers = ["ipfs", "huggingface"].map((layer) => [layer, { success: count(layer, "success"), error: count(layer, "error") }]);
const summary = { total: records.length, cache_hits: count("cache", "hit"), ...Object.fromEntries(layers) };
if (job.metrics) fs.writeFileSync(job.metrics, JSON.stringify({ records, summary }));
process.exit(done ? 0 : 1);
