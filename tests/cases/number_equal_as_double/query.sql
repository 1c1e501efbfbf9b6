WITH masks AS (
  SELECT u."#user_id" AS user_id, CASE WHEN u."score" IN (CAST('0.3' AS DOUBLE), CAST('3.0' AS DOUBLE)) THEN 1 ELSE 0 END AS m0
  FROM users AS u
  WHERE u."score" IN (CAST('0.3' AS DOUBLE), CAST('3.0' AS DOUBLE))
)
SELECT user_id
FROM masks
WHERE (m0 & 1) <> 0
