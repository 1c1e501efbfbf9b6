WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."city" = '上海 ' THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."city" = '上海 '
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
