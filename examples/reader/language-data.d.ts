/** The package ships no types. */
declare module "@tesseract.js-data/eng" {
  const data: {
    /** `eng` */
    code: string;
    /** The folder with `eng.traineddata.gz`, inside the package. */
    langPath: string;
    gzip: boolean;
  };
  export default data;
}
