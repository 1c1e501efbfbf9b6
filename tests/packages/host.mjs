// node host.mjs LIBRARY EXTENSION HOME USER_CONFIG: the command that a host of bundles starts, by the format's own library.
import fs from "node:fs";
const [library, extensionPath, home, given] = process.argv.slice(2);
const { getMcpConfigForManifest } = await import(library);
const config = await getMcpConfigForManifest({
  manifest: JSON.parse(fs.readFileSync(`${extensionPath}/manifest.json`, "utf8")),
  extensionPath,
  systemDirs: { HOME: home, DOCUMENTS: `${home}/Documents`, DESKTOP: `${home}/Desktop`, DOWNLOADS: `${home}/Downloads` },
  userConfig: JSON.parse(given),
  pathSeparator: "/",
});
console.log(JSON.stringify(config));
