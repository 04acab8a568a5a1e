export const load = ({ url }) => ({ name: url.searchParams.get("name") ?? "stranger" });

export const actions = {
  default: async ({ request, getClientAddress }) => {
    const form = await request.formData();
    return { thanks: `Thanks for ${form.get("what")}, ${getClientAddress()}!` };
  },
};
