import { WEBHOOK_DEFAULTS } from "../../protocol/defaults.ts";
import { hostFault } from "../net/public-host.ts";

/**
 * What a webhook's URL must be, where it is something else; null where it is right. A name that leads to a private address is found out only
 * when it is looked up, at the delivery.
 */
export function webhookUrlFault(text: string, allowPrivate: boolean): string | null {
  const { maxUrlChars } = WEBHOOK_DEFAULTS;
  const url = text.length <= maxUrlChars ? URL.parse(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "")
    return `an http or https URL of at most ${maxUrlChars} characters, without a user`;
  const fault = allowPrivate ? null : hostFault(url);
  return fault === null
    ? null
    : `the URL of a public host (${fault}; \`athanor up --allow-private-webhooks\` allows it)`;
}
