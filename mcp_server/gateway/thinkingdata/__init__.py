"""ThinkingData's Open API (vendor page 用户分群和标签 API; te-api.md sections 8 and 9)."""
