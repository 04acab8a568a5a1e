export async function deploy(_p: {
  entry: string | URL | null;
  url?: string | undefined;
  token?: string | undefined;
}): Promise<string> {
  throw new Error("not yet");
}
