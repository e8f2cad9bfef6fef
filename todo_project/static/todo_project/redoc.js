"use strict";

// Without this, Redoc loads its logo from another host.
const image = HTMLImageElement.prototype;
const { setAttribute } = image;
image.setAttribute = function (name, value) {
  if (name !== "src" || new URL(value, location).origin === location.origin) setAttribute.call(this, name, value);
  else setTimeout(() => this.dispatchEvent(new Event("error")));
};
const src = Object.getOwnPropertyDescriptor(image, "src");
Object.defineProperty(image, "src", { ...src, set(value) { this.setAttribute("src", value); } });

const response = (color) => ({ color, backgroundColor: `${color}1a`, tabTextColor: color });
const DARK = {
  colors: {
    primary: { main: "#8ab4f8" },
    success: { main: "#7ec87e" },
    warning: { main: "#e0a050" },
    error: { main: "#ff8a80" },
    gray: { 50: "#16191b", 100: "#262b2e" },
    text: { primary: "#e4e6e6", secondary: "#b0b6ba" },
    border: { dark: "rgba(255, 255, 255, 0.2)", light: "#3a4044" },
    responses: {
      success: response("#7ec87e"),
      error: response("#ff8a80"),
      redirect: response("#e0a050"),
      info: response("#8ab4f8"),
    },
  },
  schema: { linesColor: "#5a6268", nestedBackground: "#262b2e", typeNameColor: "#b0b6ba" },
  typography: { code: { color: "#ff9e80", backgroundColor: "rgba(255, 255, 255, 0.08)" } },
  sidebar: { backgroundColor: "#16191b", textColor: "#e4e6e6" },
  rightPanel: { backgroundColor: "#16191b" },
};

const dark = matchMedia("(prefers-color-scheme: dark)");
const element = document.getElementById("redoc");
// Redoc cannot change the theme of a page that it shows.
dark.addEventListener("change", () => location.reload());
const theme = dark.matches ? DARK : {};
Redoc.init(element.dataset.document, { theme, hideSchemaPattern: true }, element);
