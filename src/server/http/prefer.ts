import { SERVER_DEFAULTS } from "../../protocol/defaults.ts";

/** What a Prefer header (RFC 7240) asks for that the gateway knows. Preferences that are not known or not valid are ignored, as the RFC says. */
export interface Preferences {
  respondAsync: boolean;
  /** At most SERVER_DEFAULTS.maxWaitS. */
  waitS: number | null;
}

const NONE: Preferences = { respondAsync: false, waitS: null };

export function preferencesOf(header: string | undefined): Preferences {
  if (header === undefined) return NONE;
  const preferences = { ...NONE };
  for (const part of header.split(",")) {
    const [name, value] = (part.split(";")[0] ?? "").split("=").map((text) => text.trim());
    if (name?.toLowerCase() === "respond-async") preferences.respondAsync = true;
    else if (name?.toLowerCase() === "wait" && /^"?\d{1,9}"?$/.test(value ?? "")) {
      preferences.waitS ??= Math.min(Number((value ?? "").replaceAll('"', "")), SERVER_DEFAULTS.maxWaitS);
    }
  }
  return preferences;
}
