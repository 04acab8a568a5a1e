export class Api {
  readonly address: { url: string; token: string | null };
  constructor(address: { url: string; token: string | null }) {
    this.address = address;
  }
}
