// The manifests of the boards, as mcconfig puts them together: what `config` and `creation` a program has on a
// platform. Read by boards.ts, so that the budget is held inside the memory that the manifests give.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

declare const HOST_TESTS: string;

interface Part {
  include?: string | string[];
  config?: Record<string, unknown>;
  creation?: Record<string, unknown>;
}

interface Manifest extends Part {
  platforms?: Record<string, Part>;
}

export interface Settings {
  config: Record<string, unknown>;
  creation: Record<string, unknown>;
}

/**
 * Of the program in `folder` of this project, for a platform such as `esp32/nodemcu`. Includes come first; then what a
 * manifest says itself, then what it says for the platform: of its name, or else of its first part, or else of `...`.
 * What the SDK's own manifests say is left out: for a board we set all of it.
 */
export function settingsOf(folder: string, platform: string): Settings {
  const settings: Settings = { config: {}, creation: {} };
  read(join(dirname(HOST_TESTS), folder, 'manifest.json'), platform, settings);
  return settings;
}

function read(path: string, platform: string, into: Settings): void {
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  const platforms = manifest.platforms ?? {};
  const own = platforms[platform] ?? platforms[platform.split('/')[0]!] ?? platforms['...'] ?? {};
  if ('error' in own) throw new Error(`${path}, ${platform}: ${own.error}`);
  for (const { include = [] } of [manifest, own]) {
    for (const name of [include].flat()) if (!name.startsWith('$')) read(join(dirname(path), name), platform, into);
  }
  for (const { config, creation } of [manifest, own]) {
    Object.assign(into.config, config);
    Object.assign(into.creation, creation);
  }
}
