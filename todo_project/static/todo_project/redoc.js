/* Without this, Redoc loads its logo from another host. */
"use strict";
const image = HTMLImageElement.prototype;
const { setAttribute } = image;
image.setAttribute = function (name, value) {
  if (name !== "src" || new URL(value, location).origin === location.origin) setAttribute.call(this, name, value);
  else setTimeout(() => this.dispatchEvent(new Event("error")));
};
const src = Object.getOwnPropertyDescriptor(image, "src");
Object.defineProperty(image, "src", { ...src, set(value) { this.setAttribute("src", value); } });
