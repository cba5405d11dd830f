// The ways to ask a command to end.

/**
 * Calls `end` at SIGINT or SIGTERM, once: a second one ends the process in the system's way.
 * Returns what lets go of both, idempotent.
 */
export function onAsked(end: () => void): () => void {
  const forget = (): void => {
    process.removeListener('SIGINT', once);
    process.removeListener('SIGTERM', once);
  };
  const once = (): void => {
    forget();
    end();
  };
  process.on('SIGINT', once);
  process.on('SIGTERM', once);
  return forget;
}

/** Resolves at SIGINT or SIGTERM. */
export function asked(): Promise<void> {
  return new Promise((resolve) => void onAsked(resolve));
}
