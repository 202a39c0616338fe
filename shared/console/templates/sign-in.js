"use strict";
// The key goes in a header, where the Functions host looks for it, and is kept nowhere.
const form = document.getElementById("sign-in");
const problem = document.getElementById("problem");
form.hidden = false;
document.getElementById("key").focus();
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  problem.textContent = "";
  const key = document.getElementById("key").value;
  let answer;
  try {
    answer = await fetch(form.dataset.session, { method: "POST", headers: { "x-functions-key": key } });
  } catch {
    problem.textContent = "The app did not answer. Try again.";
    return;
  }
  if (answer.ok) {
    const here = location.pathname.endsWith("/sign-in") ? form.dataset.home : location.href;
    location.replace(here);
  } else {
    problem.textContent = answer.status === 401 ? "This is not the admin key." : "Signing in failed. Try again.";
  }
});
