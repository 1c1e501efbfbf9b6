WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN list_has_any(u."tags", ['sports', '旅行']) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE list_has_any(u."tags", ['sports', '旅行'])
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
