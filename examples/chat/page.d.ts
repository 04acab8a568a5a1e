/** The build makes a text of an imported page. */
declare module "*.html" {
  const text: string;
  export default text;
}
