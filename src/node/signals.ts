// The ways to ask a command to end.

/** Resolves at SIGINT or SIGTERM. A second one ends the process in the system's way. */
export function asked(): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      process.removeListener('SIGINT', end);
      process.removeListener('SIGTERM', end);
      resolve();
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
  });
}
