// Shows the OpenAPI document of this server. "Authorize" takes an API key or an access token for "Try it out";
// trying out register, login or refresh does it by itself.
const LOGINS = ["/api/auth/register", "/api/auth/login", "/api/auth/refresh"];

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // A validator on the internet would be asked otherwise.
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  tagsSorter: "alpha",
  responseInterceptor: (response) => {
    const path = new URL(response.url, window.location.href).pathname;
    if (response.ok && LOGINS.includes(path)) {
      window.ui.preauthorizeApiKey("bearer", JSON.parse(response.text).accessToken);
    }
    return response;
  },
});
