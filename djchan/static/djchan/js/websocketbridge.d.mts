// The types of websocketbridge.mjs, written by hand beside its JSDoc.

/** Times in milliseconds; the defaults are in docs/reference/javascript.md. */
export interface Options {
  minReconnectionDelay?: number | null;
  maxReconnectionDelay?: number | null;
  reconnectionDelayGrowFactor?: number | null;
  connectionTimeout?: number | null;
  maxRetries?: number | null;
  debug?: boolean | null;
  minUptime?: number | null;
  maxEnqueuedMessages?: number | null;
}

export interface CloseOptions {
  /** false: connect again after this close. */
  keepClosed?: boolean;
  /** false: "close" comes when the server has answered. */
  fastClose?: boolean;
  /** Milliseconds until the next connection, once; 0: the usual back-off. */
  delay?: number;
}

/** `code` and `message` are there when the event is not the browser's own. */
export interface SocketErrorEvent extends Event {
  readonly code?: "ETIMEDOUT" | "EHOSTDOWN";
  readonly message?: string;
}

export type Frame = Parameters<WebSocket["send"]>[0];

export interface SocketEvents {
  open: Event;
  message: MessageEvent;
  error: SocketErrorEvent;
  close: CloseEvent;
  /** `detail` is the frame that will not be sent. */
  drop: CustomEvent<Frame>;
}

export class ReconnectingWebSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  constructor(url: string, protocols?: string | string[] | null, options?: Options | null);

  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: SocketErrorEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;

  readonly url: string;
  readonly readyState: number;
  readonly protocol: string;
  readonly extensions: string;
  readonly bufferedAmount: number;
  binaryType: BinaryType;

  /** How many frames wait for a connection. */
  readonly queued: number;
  /** How many frames will not be sent. */
  readonly dropped: number;

  /** false: the frame is neither sent nor kept until there is a connection. */
  send(data: Frame): boolean;
  close(code?: number, reason?: string, how?: CloseOptions): void;

  addEventListener<Type extends keyof SocketEvents>(
    type: Type,
    listener: (this: ReconnectingWebSocket, event: SocketEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof SocketEvents>(
    type: Type,
    listener: (this: ReconnectingWebSocket, event: SocketEvents[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

export class WebSocketBridge {
  constructor(options?: Options);

  /** null before connect(). */
  socket: ReconnectingWebSocket | null;
  streams: Record<string, (payload: any, stream: string) => void>;
  default_cb: ((action: any, stream: null) => void) | null | undefined;
  options: Options;

  connect(
    url?: string | null,
    protocols?: string | string[] | null,
    options?: Options | null,
  ): void;
  listen(callback?: (action: any, stream: null) => void): void;
  demultiplex(stream: string, callback: (payload: any, stream: string) => void): void;
  send(message: unknown): boolean;
  stream(stream: string): { send(payload: unknown): boolean };
}
