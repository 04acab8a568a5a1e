/** Set by the build; a checkout that runs from its sources has none. */
export const VERSION = process.env.ATHANOR_VERSION ?? "0.0.0-dev";
