// The types of websocketbridge.js: the globals that the classic script defines.

import * as bridge from "./websocketbridge.mjs";

export * from "./websocketbridge.mjs";

declare global {
  const channels: typeof bridge;
  const djchan: typeof bridge;
}
