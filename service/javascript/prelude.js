// What scripts find besides the language: console, fetch, require, URL and their like. Evaluated once in a new isolate;
// the function that comes out takes the bridge to the service and gives the one that runs a script.
(function (bridge) {
  "use strict";
  const { parse, stringify } = JSON;
  const AsyncFunction = (async () => {}).constructor;
  const MOST_LINES = 100, LONGEST_LINE = 1000;
  const lines = [];

  function shown(value) {
    if (typeof value === "string") return value;
    if (value instanceof Error) return String(value);
    try {
      const text = stringify(value);
      return text === undefined ? String(value) : text;
    } catch {
      return String(value);
    }
  }

  function print(...parts) {
    if (lines.length < MOST_LINES) lines.push(parts.map(shown).join(" ").slice(0, LONGEST_LINE));
  }

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  function toBase64(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 3) {
      const left = bytes.length - at;
      const block = (bytes[at] << 16) | ((bytes[at + 1] || 0) << 8) | (bytes[at + 2] || 0);
      text += ALPHABET[block >> 18] + ALPHABET[(block >> 12) & 63];
      text += (left > 1 ? ALPHABET[(block >> 6) & 63] : "=") + (left > 2 ? ALPHABET[block & 63] : "=");
    }
    return text;
  }

  function fromBase64(text) {
    const signs = String(text).replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "");
    const bytes = new Uint8Array((signs.length * 3) >> 2);
    let at = 0, held = 0, bits = 0;
    for (const sign of signs) {
      held = (held << 6) | ALPHABET.indexOf(sign);
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        bytes[at++] = (held >> bits) & 255;
      }
    }
    return bytes;
  }

  function encode(text) {
    const escaped = encodeURIComponent(String(text).toWellFormed());
    const bytes = new Uint8Array(escaped.length);
    let size = 0;
    for (let at = 0; at < escaped.length; at++) {
      if (escaped[at] === "%") {
        bytes[size++] = parseInt(escaped.slice(at + 1, at + 3), 16);
        at += 2;
      } else {
        bytes[size++] = escaped.charCodeAt(at);
      }
    }
    return bytes.slice(0, size);
  }

  function decode(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; ) {
      const first = bytes[at];
      const size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
      let point = size === 1 ? first : first & (0xff >> (size + 1));
      let good = size > 0 && at + size <= bytes.length;
      for (let more = 1; good && more < size; more++) {
        good = (bytes[at + more] & 0xc0) === 0x80;
        point = (point << 6) | (bytes[at + more] & 0x3f);
      }
      if (good && point <= 0x10ffff) {
        text += String.fromCodePoint(point);
        at += size;
      } else {
        text += "\ufffd";
        at += 1;
      }
    }
    return text;
  }

  class TextEncoder {
    encode(text = "") {
      return encode(text);
    }
  }

  class TextDecoder {
    decode(bytes = new Uint8Array()) {
      return decode(new Uint8Array(bytes.buffer || bytes));
    }
  }

  class Buffer extends Uint8Array {
    static from(value, encoding = "utf8") {
      if (value instanceof ArrayBuffer) return new Buffer(value);
      if (typeof value !== "string") return super.from(value);
      if (encoding === "base64" || encoding === "base64url") return super.from(fromBase64(value));
      if (encoding === "hex") return super.from(value.match(/../g) || [], (pair) => parseInt(pair, 16));
      if (encoding === "latin1" || encoding === "binary") return super.from(value, (sign) => sign.charCodeAt(0) & 255);
      return super.from(encode(value));
    }
    toString(encoding = "utf8") {
      if (encoding === "base64") return toBase64(this);
      if (encoding === "base64url") return toBase64(this).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
      if (encoding === "hex") return Array.from(this, (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (encoding === "latin1" || encoding === "binary") return Array.from(this, (byte) => String.fromCharCode(byte)).join("");
      return decode(this);
    }
  }

  const plus = (text) => encodeURIComponent(text).replace(/%20/g, "+");
  const unplus = (text) => {
    const spaced = text.replace(/\+/g, " ");
    try {
      return decodeURIComponent(spaced);
    } catch {
      return spaced;
    }
  };

  class URLSearchParams {
    #pairs = [];
    constructor(given = "") {
      if (typeof given === "string") {
        for (const part of given.replace(/^\?/, "").split("&")) {
          if (!part) continue;
          const [name, ...rest] = part.split("=");
          this.#pairs.push([unplus(name), unplus(rest.join("="))]);
        }
      } else {
        const pairs = given && given[Symbol.iterator] ? given : Object.entries(given || {});
        for (const [name, value] of pairs) this.append(name, value);
      }
    }
    append(name, value) {
      this.#pairs.push([String(name), String(value)]);
    }
    set(name, value) {
      this.delete(name);
      this.append(name, value);
    }
    get(name) {
      return (this.#pairs.find((pair) => pair[0] === name) || [null, null])[1];
    }
    getAll(name) {
      return this.#pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
    }
    has(name) {
      return this.#pairs.some((pair) => pair[0] === name);
    }
    delete(name) {
      this.#pairs = this.#pairs.filter((pair) => pair[0] !== name);
    }
    forEach(call) {
      for (const [name, value] of this.#pairs) call(value, name, this);
    }
    keys() {
      return this.#pairs.map((pair) => pair[0])[Symbol.iterator]();
    }
    entries() {
      return this.#pairs.map((pair) => [...pair])[Symbol.iterator]();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
    toString() {
      return this.#pairs.map(([name, value]) => `${plus(name)}=${plus(value)}`).join("&");
    }
  }

  class URL {
    constructor(text, base) {
      let whole = String(text).trim();
      if (!/^[a-z][a-z0-9+.-]*:/i.test(whole)) {
        if (base === undefined) throw new TypeError("Invalid URL");
        const below = new URL(base);
        const folder = below.pathname.slice(0, below.pathname.lastIndexOf("/") + 1);
        whole = whole.startsWith("//") ? below.protocol + whole
          : whole.startsWith("/") ? below.origin + whole
          : /^[?#]/.test(whole) ? below.origin + below.pathname + whole
          : below.origin + folder + whole;
      }
      const parts = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^:/?#]+|\[[^\]]*\])(?::(\d+))?([^?#]*)(\?[^#]*)?(#.*)?$/i.exec(whole);
      if (!parts) throw new TypeError("Invalid URL");
      this.protocol = parts[1].toLowerCase();
      this.username = parts[2] || "";
      this.password = parts[3] || "";
      this.hostname = parts[4].toLowerCase();
      this.port = parts[5] || "";
      this.pathname = encodeURI(unescaped(parts[6] || "/"));
      this.searchParams = new URLSearchParams(parts[7] || "");
      this.hash = parts[8] || "";
    }
    get host() {
      return this.port ? `${this.hostname}:${this.port}` : this.hostname;
    }
    get origin() {
      return `${this.protocol}//${this.host}`;
    }
    get search() {
      const text = this.searchParams.toString();
      return text ? `?${text}` : "";
    }
    set search(text) {
      this.searchParams = new URLSearchParams(text);
    }
    get href() {
      const who = this.username ? `${this.username}${this.password ? `:${this.password}` : ""}@` : "";
      return `${this.protocol}//${who}${this.host}${this.pathname}${this.search}${this.hash}`;
    }
    toString() {
      return this.href;
    }
    toJSON() {
      return this.href;
    }
  }

  function unescaped(path) {
    try {
      return decodeURI(path);
    } catch {
      return path;
    }
  }

  class Headers {
    #values = new Map();
    constructor(given) {
      const pairs = given instanceof Headers ? given.entries() : given && given[Symbol.iterator] ? given : Object.entries(given || {});
      for (const [name, value] of pairs) this.append(name, value);
    }
    append(name, value) {
      const key = String(name).toLowerCase();
      const before = this.#values.get(key);
      this.#values.set(key, before === undefined ? String(value) : `${before}, ${value}`);
    }
    set(name, value) {
      this.#values.set(String(name).toLowerCase(), String(value));
    }
    get(name) {
      return this.#values.get(String(name).toLowerCase()) ?? null;
    }
    has(name) {
      return this.#values.has(String(name).toLowerCase());
    }
    delete(name) {
      this.#values.delete(String(name).toLowerCase());
    }
    forEach(call) {
      for (const [name, value] of this.#values) call(value, name, this);
    }
    entries() {
      return this.#values.entries();
    }
    [Symbol.iterator]() {
      return this.entries();
    }
  }

  class Response {
    #answer;
    constructor(answer) {
      this.#answer = answer;
      this.status = answer.status;
      this.ok = answer.status >= 200 && answer.status < 300;
      this.statusText = "";
      this.url = answer.url;
      this.headers = new Headers(answer.headers);
    }
    async text() {
      return this.#answer.text;
    }
    async json() {
      return parse(this.#answer.text);
    }
    async arrayBuffer() {
      const { base64, text } = this.#answer;
      return (base64 === undefined ? encode(text) : fromBase64(base64)).buffer;
    }
    async buffer() {
      return new Buffer(await this.arrayBuffer());
    }
  }

  function body(given, headers) {
    if (given === undefined || given === null) return {};
    if (typeof given === "string") return { text: given };
    if (given instanceof URLSearchParams) {
      if (!headers.has("content-type")) headers.set("content-type", "application/x-www-form-urlencoded");
      return { text: given.toString() };
    }
    if (given instanceof ArrayBuffer) return { base64: toBase64(new Uint8Array(given)) };
    if (given instanceof Uint8Array) return { base64: toBase64(given) };
    return { text: String(given) };
  }

  async function fetch(target, options = {}) {
    options = options || {};
    const headers = new Headers(options.headers);
    const sent = body(options.body, headers);
    const reply = await bridge(stringify({
      url: String((target && target.url) || target),
      method: String(options.method || "GET").toUpperCase(),
      headers: Object.fromEntries(headers),
      ...sent,
    }));
    const answer = parse(reply);
    if (answer.failure !== undefined) throw new TypeError(`fetch failed: ${answer.failure}`);
    return new Response(answer);
  }

  async function request(config) {
    const url = (config.baseURL && !/^[a-z]+:/i.test(config.url || "") ? config.baseURL.replace(/\/$/, "") + "/" + String(config.url || "").replace(/^\//, "") : config.url) || "";
    const headers = new Headers(config.headers);
    let { data } = config;
    if (data !== undefined && data !== null && typeof data === "object" && !(data instanceof URLSearchParams) && !(data instanceof Uint8Array)) {
      data = stringify(data);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
    }
    if (config.auth) headers.set("authorization", "Basic " + toBase64(encode(`${config.auth.username}:${config.auth.password}`)));
    const query = new URLSearchParams(config.params || {}).toString();
    const whole = query ? url + (url.includes("?") ? "&" : "?") + query : url;
    const response = await fetch(whole, { method: config.method, headers, body: data });
    const text = await response.text();
    let read = text;
    if (config.responseType === "arraybuffer") {
      read = new Buffer(await response.arrayBuffer());
    } else if (config.responseType !== "text") {
      try {
        read = parse(text);
      } catch {
        read = text;
      }
    }
    const answer = { data: read, status: response.status, statusText: "", headers: Object.fromEntries(response.headers), config };
    const good = config.validateStatus ? config.validateStatus(response.status) : response.ok;
    if (good) return answer;
    const error = new Error(`Request failed with status code ${response.status}`);
    error.name = "AxiosError";
    error.isAxiosError = true;
    error.response = answer;
    throw error;
  }

  function client(defaults) {
    const merged = (config) => ({ ...defaults, ...config, headers: { ...defaults.headers, ...(config && config.headers) } });
    const axios = (first, config) => request(merged(typeof first === "string" ? { ...config, url: first } : first));
    axios.request = (config) => request(merged(config));
    for (const method of ["get", "delete", "head", "options"]) {
      axios[method] = (url, config) => request(merged({ ...config, url, method }));
    }
    for (const method of ["post", "put", "patch"]) {
      axios[method] = (url, data, config) => request(merged({ ...config, url, data, method }));
    }
    axios.create = (config) => client(merged(config));
    axios.isAxiosError = (error) => Boolean(error && error.isAxiosError);
    return axios;
  }

  const axios = client({});
  const modules = {
    "node-fetch": Object.assign((...given) => fetch(...given), { default: fetch, Headers, Response }),
    axios: Object.assign(axios, { default: axios }),
    url: { URL, URLSearchParams },
    buffer: { Buffer },
    util: { TextEncoder, TextDecoder },
  };

  function require(name) {
    const found = Object.hasOwn(modules, String(name).replace(/^node:/, "")) && modules[String(name).replace(/^node:/, "")];
    if (found) return found;
    throw new Error(`require('${name}'): this module is not available here. Available: ${Object.keys(modules).join(", ")}`);
  }

  class AbortController {
    signal = { aborted: false, addEventListener() {}, removeEventListener() {} };
    abort() {
      this.signal.aborted = true;
    }
  }

  const console = { log: print, info: print, warn: print, error: print, debug: print, trace: print, table: print, dir: print };
  Object.assign(globalThis, {
    console, fetch, require, axios, Buffer, URL, URLSearchParams, Headers, Response, TextEncoder, TextDecoder, AbortController,
    btoa: (text) => toBase64(Uint8Array.from(String(text), (sign) => sign.charCodeAt(0) & 255)),
    atob: (text) => Array.from(fromBase64(text), (byte) => String.fromCharCode(byte)).join(""),
  });

  const HEAD = 2, NAME = "script.js"; // lines that AsyncFunction puts before the code; what stacks call it

  function failure(error) {
    const about = error instanceof Error ? `${error.name}: ${error.message}` : shown(error);
    const place = /script\.js:(\d+)/.exec((error instanceof Error && error.stack) || "");
    return place && place[1] > HEAD ? `${about} (line ${place[1] - HEAD})` : about;
  }

  return async function (given, code) {
    try {
      const script = new AsyncFunction(`${code}\n//# sourceURL=${NAME}`);
      Object.assign(globalThis, parse(given));
      const value = await script();
      return stringify({ value: value === undefined ? null : value, lines });
    } catch (error) {
      return stringify({ error: String(failure(error)).slice(0, 4000), lines });
    }
  };
})
