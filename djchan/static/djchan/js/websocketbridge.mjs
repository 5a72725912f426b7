// djchan's side in the browser (BSD-3-Clause): WebSocketBridge of Channels 1.x, and the socket
// below it, which comes back when it is lost. A page's objects go through the bridge as JSON to
// the socket, and from there to a consumer; the server's frames come back the same way.
//
// docs/reference/javascript.md tells how to use it. websocketbridge.mjs is the source: both
// websocketbridge.js have the same text between ends of their own, which define the globals
// `channels` and `djchan`; tests/static/test_files.py holds them together.
// ES2019, nothing but the browser's own objects, and nothing that a Content-Security-Policy
// has to allow beside the script and the connection.

/**
 * Milliseconds, but for the factor and the counts. The first six are those of Channels 1.x.
 */
const DEFAULTS = {
  minReconnectionDelay: 1500,
  maxReconnectionDelay: 10000,
  reconnectionDelayGrowFactor: 1.3,
  connectionTimeout: 4000,
  maxRetries: Infinity,
  debug: false,
  minUptime: 5000, // open for so long: the next loss begins again at the shortest delay
  maxEnqueuedMessages: 100, // frames that wait for a connection; 0: none
};

const LONGEST = 2 ** 31 - 1; // of a timer; beyond it, it would go off at once

/** @type {(act: () => void, wait: number) => ReturnType<typeof setTimeout>} */
const later = (act, wait) => setTimeout(act, Math.min(wait, LONGEST));

/**
 * The options with the defaults for what is not given; others are ignored, as in 1.x.
 *
 * @param {Record<string, unknown>} given
 * @returns {typeof DEFAULTS}
 */
function configured(given) {
  /** @type {Record<string, unknown>} */
  const config = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const value = given[name];
    if (value === undefined || value === null) continue;
    // What is no number would make a delay of nothing, and a page that hammers the server.
    if (name !== "debug" && !(Number(value) >= 0)) {
      throw new TypeError(`${name} has to be a number, 0 or more, and is ${String(value)}`);
    }
    config[name] = name === "debug" ? Boolean(value) : Number(value);
  }
  return /** @type {typeof DEFAULTS} */ (config);
}

/**
 * How long to wait before a try: a random part of a time that grows with each try.
 *
 * Between one and two `minReconnectionDelay` at first, and never above
 * `maxReconnectionDelay`. Always random: all pages of a server lose it in the same moment.
 *
 * @param {typeof DEFAULTS} config
 * @param {number} retries how many tries there have been
 */
function backOff(config, retries) {
  const grown = 2 * config.minReconnectionDelay * config.reconnectionDelayGrowFactor ** retries;
  const most = Math.min(config.maxReconnectionDelay, grown);
  const least = Math.min(most, Math.max(config.minReconnectionDelay, most / 2));
  return least + Math.random() * (most - least);
}

/**
 * A WebSocket that is connected again whenever it is lost, with the face of a WebSocket.
 *
 * It comes back after every close code, as in Channels 1.x, until the page calls `close()`
 * (in a listener of "close", too) or `maxRetries` is reached. Events are those of a WebSocket
 * and "drop": a frame that will not be sent.
 */
class ReconnectingWebSocket extends EventTarget {
  /**
   * @param {string} url
   * @param {string | string[] | null} [protocols]
   * @param {object | null} [options] see DEFAULTS
   */
  constructor(url, protocols, options) {
    super();
    /** @type {((event: any) => void) | null} */
    this.onopen = null;
    /** @type {((event: any) => void) | null} */
    this.onmessage = null;
    /** @type {((event: any) => void) | null} */
    this.onerror = null;
    /** @type {((event: any) => void) | null} */
    this.onclose = null;
    /** Frames that will not be sent: the queue was full, or there is no socket any more. */
    this.dropped = 0;

    /** @private */
    this._target = url;
    /** @private */
    this._protocols = protocols === null ? undefined : protocols;
    /** @private */
    this._config = configured({ ...options });
    /** @private @type {any[]} */
    this._queue = [];
    /** @private */
    this._retries = 0;
    /** @private The delay that the page asked for, once. */
    this._delay = 0;
    /** @private No connection any more, for good. */
    this._over = false;
    /** @private A frame was dropped, and the console told of it, in this outage. */
    this._told = false;
    /** @private @type {ReturnType<typeof setTimeout> | undefined} Of the next try. */
    this._timer = undefined;
    /** @private @type {() => void} Stops the timers of the connection. */
    this._still = () => {};
    /** @private @type {WebSocket | null} The connection whose events are passed on. */
    this._heard = null;

    for (const type of ["open", "message", "error", "close"]) {
      this.addEventListener(type, (event) => {
        const handler = /** @type {any} */ (this)[`on${type}`];
        if (typeof handler === "function") handler.call(this, event);
      });
    }
    /** @private */
    this._socket = this._connect();
  }

  get url() {
    return this._socket.url;
  }

  get readyState() {
    return this._socket.readyState;
  }

  get protocol() {
    return this._socket.protocol;
  }

  get extensions() {
    return this._socket.extensions;
  }

  get bufferedAmount() {
    return this._socket.bufferedAmount;
  }

  get binaryType() {
    return this._socket.binaryType;
  }

  set binaryType(value) {
    this._socket.binaryType = value;
  }

  /** How many frames wait for a connection. */
  get queued() {
    return this._queue.length;
  }

  /**
   * Send a frame now, or when there is a connection again: false if neither.
   *
   * @param {any} data what WebSocket.send takes
   */
  send(data) {
    if (this.readyState === WebSocket.OPEN) {
      this._socket.send(data);
      return true;
    }
    const limit = this._config.maxEnqueuedMessages;
    if (!this._over && this._queue.length < limit) {
      this._queue.push(data);
      return true;
    }
    if (!this._over && !this._told && limit > 0) {
      this._told = true;
      console.warn(
        `djchan: ${limit} frames wait for ${this.url} (maxEnqueuedMessages): more are dropped`,
      );
    }
    this._drop(data);
    return false;
  }

  /**
   * Close the connection, and stay closed unless `keepClosed` is false.
   *
   * @param {number} [code]
   * @param {string} [reason]
   * @param {{ keepClosed?: boolean, fastClose?: boolean, delay?: number }} [how] fastClose: tell
   *   the listeners at once, before the server has answered; delay: before the next connection
   */
  close(code = 1000, reason = "", { keepClosed = true, fastClose = true, delay = 0 } = {}) {
    this._socket.close(code, reason); // Raises for a code that is not the page's to use.
    this._delay = delay;
    if (keepClosed) this._end();
    if (this._heard && fastClose) this._closed({ code, reason, wasClean: true });
  }

  /** @private */
  _connect() {
    this._log(`connecting to ${this._target}`);
    const socket = new WebSocket(this._target, this._protocols);
    if (this._socket) socket.binaryType = this._socket.binaryType;
    const impatience = later(() => {
      socket.close();
      const waited = this._config.connectionTimeout;
      this._fail("ETIMEDOUT", `no connection within ${waited} ms (connectionTimeout)`);
    }, this._config.connectionTimeout);
    this._still = () => clearTimeout(impatience);

    socket.addEventListener("open", () => {
      if (socket !== this._heard) return;
      clearTimeout(impatience);
      const steady = later(() => (this._retries = 0), this._config.minUptime);
      this._still = () => clearTimeout(steady);
      this._told = false;
      this._log("open");
      // First the page, which may have to say who it is before what has waited makes sense.
      this.dispatchEvent(new Event("open"));
      while (this._queue.length > 0 && this.readyState === WebSocket.OPEN) {
        socket.send(this._queue.shift());
      }
    });
    socket.addEventListener("message", ({ data, origin }) => {
      if (socket !== this._heard) return;
      this.dispatchEvent(new MessageEvent("message", { data, origin }));
    });
    socket.addEventListener("error", () => {
      if (socket === this._heard) this.dispatchEvent(new Event("error"));
    });
    socket.addEventListener("close", (event) => {
      if (socket === this._heard) this._closed(event);
    });
    this._socket = socket;
    this._heard = socket;
    return socket;
  }

  /**
   * @private
   * @param {{ code: number, reason: string, wasClean: boolean }} how
   */
  _closed({ code, reason, wasClean }) {
    this._heard = null;
    this._still();
    this._log(`closed (${code})`);
    this.dispatchEvent(new CloseEvent("close", { code, reason, wasClean }));
    if (this._over) return;
    if (this._retries >= this._config.maxRetries) {
      this._end();
      this._fail("EHOSTDOWN", `no connection after ${this._retries} retries (maxRetries)`);
      return;
    }
    const wait = this._delay || backOff(this._config, this._retries);
    this._delay = 0;
    this._retries += 1;
    this._log(`next try in ${Math.round(wait)} ms`);
    this._timer = later(() => this._connect(), wait);
  }

  /** @private No more connections: what waits for one is dropped. */
  _end() {
    this._over = true;
    clearTimeout(this._timer);
    for (const data of this._queue.splice(0)) this._drop(data);
  }

  /**
   * @private
   * @param {any} data
   */
  _drop(data) {
    this.dropped += 1;
    this.dispatchEvent(new CustomEvent("drop", { detail: data }));
  }

  /**
   * @private
   * @param {string} code
   * @param {string} message
   */
  _fail(code, message) {
    this._log(message);
    this.dispatchEvent(Object.assign(new Event("error"), { code, message }));
  }

  /**
   * @private
   * @param {string} text
   */
  _log(text) {
    if (this._config.debug) console.log(`djchan: ${text}`);
  }
}

// On the class and on each socket, as a WebSocket has them.
["CONNECTING", "OPEN", "CLOSING", "CLOSED"].forEach((name, value) => {
  Object.defineProperty(ReconnectingWebSocket, name, { value });
  Object.defineProperty(ReconnectingWebSocket.prototype, name, { value });
});

/**
 * Objects to consumers and back, as JSON, perhaps in streams of one socket.
 *
 * @example
 * const bridge = new WebSocketBridge();
 * bridge.connect("/ws/");
 * bridge.listen((action, stream) => console.log(action, stream));
 * bridge.send({ say: "hello" });
 */
class WebSocketBridge {
  /** @param {object} [options] of all sockets of this bridge; those of connect() go before */
  constructor(options) {
    /** @type {ReconnectingWebSocket | null} Null before connect(). */
    this.socket = null;
    /** @type {Record<string, (payload: any, stream: string) => void>} */
    this.streams = Object.create(null);
    /** @type {((action: any, stream: null) => void) | null | undefined} */
    this.default_cb = null;
    this.options = { ...options };
    /** @private @type {((event: MessageEvent) => void) | null} */
    this._receive = null;
  }

  /**
   * Connect, and come back whenever the connection is lost.
   *
   * @param {string | null} [url] begins with "/": of the page's host; none: the host alone
   * @param {string | string[] | null} [protocols]
   * @param {object | null} [options]
   */
  connect(url, protocols, options) {
    let address = url;
    if (address === undefined || address === null || address[0] === "/") {
      const scheme = location.protocol === "https:" ? "wss" : "ws";
      address = `${scheme}://${location.host}${address || ""}`;
    }
    const former = this.socket;
    const merged = { ...this.options, ...options };
    this.socket = new ReconnectingWebSocket(address, protocols, merged);
    this.socket.onmessage = this._receive;
    if (former) former.close();
  }

  /**
   * Decode what comes: a frame with a stream goes to that stream's callback alone, any other
   * to this one.
   *
   * @param {(action: any, stream: null) => void} [callback]
   */
  listen(callback) {
    this.default_cb = callback;
    this._receive = (event) => {
      const message = JSON.parse(event.data);
      if (message !== null && message.stream !== undefined) {
        const { stream, payload } = message;
        if (this.streams[stream]) this.streams[stream](payload, stream);
      } else if (this.default_cb) {
        this.default_cb(message, null);
      }
    };
    if (this.socket) this.socket.onmessage = this._receive;
  }

  /**
   * @param {string} stream
   * @param {(payload: any, stream: string) => void} callback
   */
  demultiplex(stream, callback) {
    this.streams[stream] = callback;
  }

  /**
   * Send an object as JSON; false if it can be neither sent nor kept until there is a
   * connection.
   *
   * @param {any} message
   */
  send(message) {
    if (!this.socket) throw new Error("WebSocketBridge: connect() comes before send()");
    return this.socket.send(JSON.stringify(message));
  }

  /**
   * What sends to one stream.
   *
   * @param {string} stream
   */
  stream(stream) {
    return { send: (/** @type {any} */ payload) => this.send({ stream, payload }) };
  }
}

export { WebSocketBridge, ReconnectingWebSocket };
