"use strict";

// Swagger UI shows its dark colors if the page has this class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const showColors = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", showColors);
showColors();

const element = document.getElementById("swagger-ui");
// Without validatorUrl, Swagger UI sends the address of the document to another host.
SwaggerUIBundle({ url: element.dataset.document, domNode: element, deepLinking: true, validatorUrl: null });
