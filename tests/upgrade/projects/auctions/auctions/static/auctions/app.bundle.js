/******/ (function(modules) { // webpackBootstrap
bridge.connect('/lots/?session_key=' + window.sessionKey);
