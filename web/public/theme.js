// Before the first paint: the theme that was chosen, else the system's.
(function () {
  var chosen = null;
  try { chosen = localStorage.getItem("lastmile.theme"); } catch (_) { /* storage is off: the system's */ }
  var dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
