// Package browser drives a real browser in tests: headless Chromium, spoken to through chromedriver by the W3C WebDriver
// protocol (https://www.w3.org/TR/webdriver2/). It has just what our tests need, and is for Unix systems.
package browser
