// The modules of Moddable's SDK that the main programs import, as narrow as io.ts and its like, for
// the type check of this repository. mcconfig takes the SDK's own typings instead, which declare
// some of it otherwise: hence one cast in each main program.

declare module 'embedded:io/socket/listener' {
  const Listener: import('./io.js').TcpListenerConstructor;
  export default Listener;
}

declare module 'embedded:io/socket/tcp' {
  const TCP: import('./io.js').TcpSocketConstructor;
  export default TCP;
}

declare module 'embedded:io/socket/udp' {
  const UDP: import('./network/dns-message.js').UdpSocketConstructor;
  export default UDP;
}

declare module 'wifi' {
  const WiFi: import('./network/network.js').WiFiModule;
  export default WiFi;
}

declare module 'net' {
  const Net: import('./network/network.js').NetModule & {
    /** An address as numbers for `host`, which may be one; undefined if nobody knows. */
    resolve(host: string, callback: (host: string, address?: string) => void): void;
  };
  export default Net;
}

declare module 'preference' {
  const Preference: import('./network/credentials.js').PreferenceModule;
  export default Preference;
}

declare module 'timer' {
  const Timer: import('./io.js').TimerModule;
  export default Timer;
}

declare module 'time' {
  const Time: { readonly ticks: number };
  export default Time;
}

declare module 'mc/config' {
  const config: Readonly<Record<string, unknown>>;
  export default config;
}

declare function trace(text: string): void;
