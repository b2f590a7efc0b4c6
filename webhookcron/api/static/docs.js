// Shows the OpenAPI document of this server; "Authorize" takes an API key for "Try it out".
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // A validator on the internet would be asked otherwise.
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  tagsSorter: "alpha",
});
