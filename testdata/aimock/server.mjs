// A server of @copilotkit/aimock that answers by the name of the model that is asked for. It prints its address when it listens.
// Usage: node server.mjs FOLDER, where FOLDER has the package in its node_modules.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2]), "x.js"));
const { LLMock } = require("@copilotkit/aimock");

const report = (request) => {
  const nonce = /The nonce is ([0-9a-f]{32})/.exec(JSON.stringify(request))?.[1] ?? "none";
  return JSON.stringify({ nonce, decision: "ALLOW", severity: "low", violations: [], message: "fine" });
};
const allow = (request) => ({ content: report(request) });

// The first request fails as told, those behind it are answered.
const firstFails = (failure) => {
  const seen = new Map();
  return (request) => {
    const key = report(request); // the nonce tells questions apart
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return seen.get(key) === 1 ? failure : allow(request);
  };
};
const unavailable = { error: { message: "overloaded", type: "server_error" }, status: 503 };
const limited = (seconds) => ({ error: { message: "slow down", type: "rate_limit_error" }, status: 429, retryAfter: seconds });

const mock = new LLMock({ port: 0, logLevel: "silent" });
const on = (model, response, options) => mock.on({ model }, response, options);
on("good", allow);
on("unavailable-once", firstFails(unavailable));
on("unavailable", () => unavailable);
on("limited-once", firstFails(limited(1)));
on("limited-long", () => limited(3600));
on("malformed", allow, { chaos: { malformedRate: 1 } });
on("dropped", allow, { chaos: { disconnectRate: 1 } });
on("slow", allow, { chaos: { latencyMs: 20000 } });
on("cut-off", (request) => ({ content: report(request), finishReason: "length" }));
on("filtered", (request) => ({ content: report(request), finishReason: "content_filter" }));
on("prose", (request) => ({ content: "Sure! " + report(request) }));
on("half", (request) => ({ content: report(request).slice(0, 60) }));
on("no-key", () => ({ error: { message: "invalid key", type: "authentication_error" }, status: 401 }));

console.log(await mock.start());
